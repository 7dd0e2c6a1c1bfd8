/* probe - the protocols that the gateway can tell apart, one probe_*.c file and one row each.
 *
 * A probe looks at the first bytes of a connection and says match, no, or need more.  The verdict for a prefix is
 * "need more" or the verdict for the whole: it never depends on how the bytes were cut. */
#ifndef POSTERN_GATEWAY_PROBE_H
#define POSTERN_GATEWAY_PROBE_H

#include "gateway/clienthello.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum probe_verdict { PROBE_NO, PROBE_MORE, PROBE_MATCH };

/* All that was learnt about a connection's first bytes. */
struct sight {
    const uint8_t *data; /* what was peeked; borrowed */
    size_t len;          /* bytes */
    bool final;          /* no more bytes will be looked at (deadline, end of file, limit): "more" becomes a verdict */
    bool hello_done;     /* hello is filled */
    bool hello_partial;  /* final, and a ClientHello began: it is TLS with unknown names */
    unsigned pattern_limits; /* searches for a pattern that came to a limit */
    const char *pattern;     /* name of the last pattern that matched; borrowed from the route table; NULL: none */
    struct clienthello hello;
};

struct probe {
    const char *name; /* the value of a route's "protocol" */
    /* Fills what it learns into sight.  Never returns PROBE_MORE when sight->final. */
    enum probe_verdict (*look)(struct sight *sight);
    const char *help;
};

enum { PROBE_MAX = 64 }; /* probes and patterns: sets of them are bit masks */

extern const struct probe PROBES[];
extern const size_t PROBE_COUNT;

/* probe_find - the index of a probe by name, or -1. */
int probe_find(const char *name);

/* probe_literal - the common case: whether the bytes begin with one of the given texts. */
enum probe_verdict probe_literal(const struct sight *sight, const char *const *texts, size_t count);

#endif
