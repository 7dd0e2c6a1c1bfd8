/* tls_ask - asking TLS clients for certificates, and checking what they gave. */
#ifndef POSTERN_LIB_TLS_ASK_H
#define POSTERN_LIB_TLS_ASK_H

#include "lib/check.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

enum tls_ask {
    TLS_ASK_OPTIONAL, /* the handshake takes any certificate, or none: whoever uses it calls tls_ask_verify */
    TLS_ASK_REQUIRED, /* the handshake fails without a certificate that is trusted */
};

enum { TLS_ASK_CHAIN_MAX = 10 }; /* certificates of a client, the leaf among them */

/* tls_ask_client - have ctx ask for a certificate that one of the authorities in ca_path (PEM) vouches for, and name
 * them to the client.  Returns 0, or -1 and a message in why that begins with the path. */
MUSTCHECK int tls_ask_client(SSL_CTX *ctx, enum tls_ask ask, const char *ca_path, char *why, size_t cap);

/* tls_ask_any - have ctx ask for a certificate without naming authorities, and take any that is bearable, or none:
 * whether it proves anything is decided after the handshake. */
void tls_ask_any(SSL_CTX *ctx);

/* tls_ask_bearable - whether checking signatures of the certificate's key costs no more than it should: RSA up to 8,192
 * bits with an exponent of 64 at most, named elliptic curves, and no DSA. */
bool tls_ask_bearable(X509 *cert);

/* tls_ask_chain - the peer's certificates of a connection, leaf first, whether they are trusted or not; NULL: none.
 * Free with sk_X509_pop_free. */
STACK_OF(X509) * tls_ask_chain(SSL *ssl);

/* tls_ask_pack - after the handshake: let go of the peer's certificates, which take some ten KiB as long as the
 * connection lasts.  keep: tls_ask_chain makes them anew from their bytes, a tenth of that; else there are none
 * any more. */
void tls_ask_pack(SSL *ssl, bool keep);

/* tls_ask_verify - whether ctx's authorities vouch for the first certificate of the chain as a client's, now (RFC 5280
 * section 6).  false and a static text in *why; so too when ctx asks for no certificates. */
MUSTCHECK bool tls_ask_verify(SSL_CTX *ctx, STACK_OF(X509) * chain, const char **why);

#endif
