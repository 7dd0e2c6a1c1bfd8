/* tls - OpenSSL contexts for servers: certificates, profiles, the choice by SNI and ALPN, channel bindings. */
#ifndef POSTERN_LIB_TLS_H
#define POSTERN_LIB_TLS_H

#include "lib/check.h"
#include "lib/tls_policy.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a handshake callback chooses for a client. */
struct tls_choice {
    SSL_CTX *ctx;     /* borrowed; NULL: no certificate for that name: alert unrecognized_name */
    const char *alpn; /* the ALPN name to select if the client offers it; NULL: none */
};

/* tls_choose_fn - sni is the name without trailing dot, lower case, or NULL when the client sent none.  hello: for
 * tls_hello_offers. */
typedef struct tls_choice tls_choose_fn(SSL *hello, const char *sni, void *arg);

/* tls_server_ctx - a context with a certificate chain (PEM, leaf first) and its private key.  NULL and a message in
 * why: not readable, no certificate, key and certificate differ, key file open to others.  Free with SSL_CTX_free.
 * Sessions are not resumed; the rest is as tls_policy_apply says. */
MUSTCHECK SSL_CTX *tls_server_ctx(const char *cert_path, const char *key_path, enum tls_profile profile, char *why,
                                  size_t cap);

/* tls_make_choosable - have a context that tls_server_ctx has not made do what a chooser's choice says. */
void tls_make_choosable(SSL_CTX *ctx);

/* tls_set_chooser - have ctx (the one that SSL_new is called with) pick per client.  ALPN: the chosen name is selected
 * when the client offers it, whatever else it offers; an offer without it is answered by no ALPN at all, a deliberate
 * exception to RFC 7301 section 3.2 so that a web client gets to see the stream error. */
void tls_set_chooser(SSL_CTX *ctx, tls_choose_fn *choose, void *arg);

enum { TLS_NAME_BYTES = 256 };

/* tls_hello_name - for a ClientHello callback: the host name of the server_name extension (RFC 6066 section 3) into
 * out, lower case, no trailing dot.  Returns out, or NULL when there is none; a malformed one is refused by OpenSSL
 * itself a little later. */
const char *tls_hello_name(SSL *ssl, char out[TLS_NAME_BYTES]);

/* tls_hello_offers - likewise: whether the client offers that ALPN name (RFC 7301 section 3.1). */
bool tls_hello_offers(SSL *ssl, const char *alpn);

/* tls_accept_name - a callback for SSL_CTX_set_tlsext_servername_callback, so that the answer says that the name was
 * used (RFC 6066 section 3). */
int tls_accept_name(SSL *ssl, int *alert, void *arg);

/* tls_forget_exchange - after the handshake: destroy the two keys of the key exchange, which OpenSSL would keep in
 * memory, the private one too, as long as the connection lasts. */
void tls_forget_exchange(SSL *ssl);

enum { TLS_EXPORTER_BYTES = 32, TLS_END_POINT_MAX_BYTES = 64 };

/* tls_exporter - the tls-exporter channel binding (RFC 9266).  false when the connection cannot offer it: TLS 1.2
 * without the extended master secret (RFC 9266 section 4.2), or older. */
MUSTCHECK bool tls_exporter(SSL *ssl, uint8_t out[TLS_EXPORTER_BYTES]);

/* tls_server_end_point - the tls-server-end-point channel binding (RFC 5929 section 4): the hash of our certificate.
 * Returns its length in bytes, 0 when it is undefined for that signature algorithm. */
MUSTCHECK size_t tls_server_end_point(SSL *ssl, uint8_t out[TLS_END_POINT_MAX_BYTES]);

/* tls_error - the reason of the oldest OpenSSL error of this thread in words, and clear the queue. */
const char *tls_error(void);

#endif
