/* host_lookup - the addresses of one host, and what DNS says of its certificates (TLSA).
 *
 * Source: RFC 8305 section 3, RFC 7673 section 3. */
#ifndef POSTERN_BACKEND_HOST_LOOKUP_H
#define POSTERN_BACKEND_HOST_LOOKUP_H

#include "backend/dialer.h"
#include "lib/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dns_record;
struct host_lookup;
struct shard;

enum { HOST_LOOKUP_ADDRESSES = 8, HOST_LOOKUP_TLSA = 16 }; /* that are used: of each family; of TLSA records */

/* Called from the loop; in each but on_address the owner may free the lookup. */
struct host_lookup_events {
    void (*on_address)(void *arg, const struct addr *addr);
    void (*on_addresses_end)(void *arg); /* no more of them; if there were none, host_lookup_failure tells why */
    void (*on_tlsa)(void *arg);          /* host_lookup_tlsa is not PENDING any more */
};

/* host_lookup_new - host in A-labels.  tlsa: ask for that, too. */
struct host_lookup *host_lookup_new(struct shard *shard, const char *host, uint16_t port, bool tlsa,
                                    const struct s2s_trace *trace, const struct host_lookup_events *events, void *arg);
void host_lookup_free(struct host_lookup **lookup);

/* host_lookup_is_secure - whether the addresses of a family were validated. */
bool host_lookup_is_secure(const struct host_lookup *lookup, int family);

enum host_tlsa {
    HOST_TLSA_PENDING, /* no answer yet: on_tlsa */
    HOST_TLSA_NONE,    /* not asked for; none there; or not validated, and thus worth nothing */
    HOST_TLSA_RECORDS,
    HOST_TLSA_FAILED, /* somebody keeps them from us: the host is not to be talked to (RFC 7673 section 3.4) */
    HOST_TLSA_BOGUS,  /* likewise */
};

/* host_lookup_tlsa - what came of it, and the records, which live as long as the lookup. */
enum host_tlsa host_lookup_tlsa(const struct host_lookup *lookup, const struct dialer_tlsa **records, size_t *count);

/* host_lookup_read_address, host_lookup_read_tlsa - what one record says, whoever has made it.  Return false for what
 * is no address to connect to, or no record; out->data is to be freed. */
bool host_lookup_read_address(int family, const struct dns_record *record, uint16_t port, struct addr *out);
bool host_lookup_read_tlsa(const struct dns_record *record, struct dialer_tlsa *out);

/* host_lookup_failure - why there were no addresses. */
enum s2s_failure host_lookup_failure(const struct host_lookup *lookup, const char **why);

#endif
