/* tls_alpn - which ALPN name a "tls" section agrees on: one that the routes inside it can serve.
 *
 * The routes are gone through in their order, as after the handshake, and the first that would take a connection under
 * a name that the client offers decides.  A route's names are those of its condition alpn, else those of its protocols
 * (http: http/1.1, http2: h2, xmpp: xmpp-client and xmpp-server).  One that takes any protocol is met without a name.
 * Routes that refuse serve nothing. */
#ifndef POSTERN_GATEWAY_TLS_ALPN_H
#define POSTERN_GATEWAY_TLS_ALPN_H

#include "gateway/route.h"
#include "lib/check.h"

#include <stddef.h>
#include <stdint.h>

struct tls_alpn;

/* tls_alpn_new - for the section of this title; both are borrowed. */
struct tls_alpn *tls_alpn_new(struct route_table *routes, const char *title);
void tls_alpn_free(struct tls_alpn **alpn);

enum tls_alpn_verdict {
    TLS_ALPN_CHOSEN,
    TLS_ALPN_WITHOUT, /* go on without a name */
    TLS_ALPN_NOTHING, /* no route serves any name of the offer: alert no_application_protocol (RFC 7301 section 3.2) */
};

/* What a handshake is about so far. */
struct tls_alpn_client {
    const char *sni;                 /* clean; NULL: none */
    uint16_t version;                /* 0x0303 for TLS 1.2 */
    const struct route_query *query; /* where it comes from and goes to; NULL: conditions on that are taken to hold */
    const uint8_t *offer;            /* as on the wire: length-prefixed names */
    size_t offer_len;
};

/* tls_alpn_choose - TLS_ALPN_CHOSEN: *out is the name in the offer, *out_len its bytes. */
MUSTCHECK enum tls_alpn_verdict tls_alpn_choose(const struct tls_alpn *alpn, const struct tls_alpn_client *client,
                                                const uint8_t **out, uint8_t *out_len);

#endif
