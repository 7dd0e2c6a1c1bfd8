/* tls_client - TLS with other servers, above all the side that connects.
 *
 * The handshake takes any certificate: whether it proves anything is decided after it, by who knows what it should
 * prove. */
#ifndef POSTERN_LIB_TLS_CLIENT_H
#define POSTERN_LIB_TLS_CLIENT_H

#include "lib/check.h"
#include "lib/tls_policy.h"

#include <openssl/ssl.h>
#include <stddef.h>

/* tls_client_ctx - a context for connections with other servers, on either side (io_start_tls, tls_client_ssl).  The
 * certificate and key of server (from tls_server_ctx; NULL: none) are shown, and the peer's is asked for.  NULL only
 * when OpenSSL fails: tls_error. */
MUSTCHECK SSL_CTX *tls_client_ctx(SSL_CTX *server, enum tls_profile profile);

/* tls_client_ssl - the client's side of one connection: server_name (RFC 6066, in ASCII; NULL: none, and none is sent
 * for an address) and ALPN (NULL: none) of the hello. */
SSL *tls_client_ssl(SSL_CTX *ctx, const char *server_name, const char *alpn);

#endif
