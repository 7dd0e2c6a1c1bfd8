/* tls_policy - which versions, ciphers and curves a server speaks.
 *
 * The profiles are those of Mozilla's guidance for servers, version 6.0: both with AES-GCM and ChaCha20, forward
 * secrecy, and the client's order of preference. */
#ifndef POSTERN_LIB_TLS_POLICY_H
#define POSTERN_LIB_TLS_POLICY_H

#include "lib/check.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

enum tls_profile {
    TLS_INTERMEDIATE, /* TLS 1.2 and 1.3 */
    TLS_MODERN,       /* TLS 1.3 */
};

/* Lists are written as OpenSSL reads them; NULL: the profile's. */
struct tls_policy {
    enum tls_profile profile;
    const char *ciphers;      /* TLS 1.2 */
    const char *ciphersuites; /* TLS 1.3 */
    const char *curves;
    bool server_order; /* the order of these lists counts, not the client's */
};

/* tls_policy_apply - set a server's context up: no compression, no renegotiation, neither session cache nor tickets,
 * and buffers only while they are in use.  Returns 0, or -1 and in *part the member that OpenSSL does not take
 * ("ciphers", "ciphersuites", "curves"; NULL: OpenSSL itself fails; tls_error has the reason). */
MUSTCHECK int tls_policy_apply(SSL_CTX *ctx, const struct tls_policy *policy, const char **part);

#endif
