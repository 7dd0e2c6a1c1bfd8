/* s2s_srv - the SRV records of a domain: read, and put into the order in which to try them.
 *
 * Source: RFC 2782, XEP-0368 section 3. */
#ifndef POSTERN_BACKEND_S2S_SRV_H
#define POSTERN_BACKEND_S2S_SRV_H

#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { S2S_SRV_NAME_BYTES = 256 };

struct s2s_srv {
    uint16_t priority, weight, port;
    bool direct_tls; /* of the service xmpps-server */
    bool secure;     /* validated by DNSSEC */
    char target[S2S_SRV_NAME_BYTES];
};

enum s2s_srv_kind {
    S2S_SRV_HOST,    /* priority, weight, port and target are set */
    S2S_SRV_NONE,    /* the target is ".": there is no such service */
    S2S_SRV_UNUSABLE /* not a record, or its target is not a host name, or its port 0 */
};

/* s2s_srv_parse - rdata of len bytes, whoever has made it. */
enum s2s_srv_kind s2s_srv_parse(const uint8_t *data, size_t len, struct s2s_srv *out);

/* s2s_srv_order - by priority, and among those of the same one by chance, according to their weights.  chance(n) is a
 * number from 0 to n, both included. */
void s2s_srv_order(struct s2s_srv *records, size_t count, uint32_t (*chance)(uint32_t most));

/* s2s_srv_chance - for it. */
uint32_t s2s_srv_chance(uint32_t most);

#endif
