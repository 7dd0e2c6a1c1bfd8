/* srv_lookup - which hosts a domain names for both of its services, asked of DNS. */
#ifndef POSTERN_BACKEND_SRV_LOOKUP_H
#define POSTERN_BACKEND_SRV_LOOKUP_H

#include "backend/s2s_failure.h"
#include "backend/s2s_srv.h"
#include "backend/s2s_trace.h"

#include <stdbool.h>
#include <stddef.h>

struct shard;
struct srv_lookup;

enum { SRV_LOOKUP_MAX = 20 }; /* records that are used, of both services together */

enum srv_lookup_status {
    SRV_LOOKUP_FOUND,  /* records, in the order in which to try them */
    SRV_LOOKUP_ABSENT, /* neither service has a record: the domain's own addresses count (RFC 6120 section 3.2.2) */
    SRV_LOOKUP_FAILED, /* failure and why */
};

/* Lives during the call only. */
struct srv_lookup_result {
    enum srv_lookup_status status;
    bool secure; /* ABSENT: and that is validated */
    const struct s2s_srv *records;
    size_t count;
    enum s2s_failure failure;
    const char *why;
};

typedef void srv_lookup_fn(const struct srv_lookup_result *result, void *arg);

/* srv_lookup_new - domain in A-labels.  fn is called once from the loop, and may free the lookup. */
struct srv_lookup *srv_lookup_new(struct shard *shard, const char *domain, const struct s2s_trace *trace,
                                  srv_lookup_fn *fn, void *arg);
void srv_lookup_free(struct srv_lookup **lookup);

#endif
