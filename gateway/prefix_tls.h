/* prefix_tls - what a PROXY version 2 header says of a client's TLS that ended here.
 *
 * Source: The PROXY protocol, versions 1 & 2 (HAProxy, proxy-protocol.txt), section 2.2, and for our own TLVs
 * lib/pp2.h. */
#ifndef POSTERN_GATEWAY_PREFIX_TLS_H
#define POSTERN_GATEWAY_PREFIX_TLS_H

#include "lib/check.h"
#include "lib/pp2.h"
#include "lib/pp2_ssl.h"
#include "lib/tls.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

/* More is left out as a whole: a chain with its leaf alone would say something else. */
enum { PREFIX_TLS_CHAIN_MAX_BYTES = 32 * 1024 };

/* Where the values of the TLVs are. */
struct prefix_tls {
    uint8_t ssl[PP2_SSL_MAX_BYTES];
    uint8_t exporter[TLS_EXPORTER_BYTES];
    uint8_t end_point[TLS_END_POINT_MAX_BYTES];
    uint8_t chain[PREFIX_TLS_CHAIN_MAX_BYTES];
};

/* prefix_tls_add - add what was agreed on with a client to pp: ALPN, version, cipher, our certificate's kind, channel
 * bindings, and the client's certificates.  The TLVs borrow from out and ssl.  Returns false when the client's
 * certificates were left out because they are too long. */
MUSTCHECK bool prefix_tls_add(struct prefix_tls *out, SSL *ssl, struct pp2 *pp);

#endif
