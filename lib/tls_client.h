/* tls_client - the client's side of TLS, towards other servers.
 *
 * The handshake takes any certificate: whether it proves anything is decided after it, by who knows what it should
 * prove. */
#ifndef POSTERN_LIB_TLS_CLIENT_H
#define POSTERN_LIB_TLS_CLIENT_H

#include "lib/check.h"
#include "lib/tls_policy.h"

#include <openssl/ssl.h>
#include <stddef.h>

/* tls_client_ctx - a context for connections on which the certificate and key of server (from tls_server_ctx; NULL:
 * none) are shown when asked for.  NULL only when OpenSSL fails: tls_error. */
MUSTCHECK SSL_CTX *tls_client_ctx(SSL_CTX *server, enum tls_profile profile);

/* tls_client_ssl - for one connection: server_name (RFC 6066; NULL: none) and ALPN (NULL: none) of the hello. */
SSL *tls_client_ssl(SSL_CTX *ctx, const char *server_name, const char *alpn);

/* tls_client_ask - the other way round, for a connection that io_start_tls has just begun, or in a hello's callback:
 * ask the peer for a certificate, take whatever comes, and name no authorities. */
void tls_client_ask(SSL *ssl);

#endif
