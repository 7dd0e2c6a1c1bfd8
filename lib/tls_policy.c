#include "lib/tls_policy.h"

#include <openssl/err.h>
#include <stdint.h>

/* The intermediate profile names no other suites; the modern one has none for TLS 1.2. */
static const char CIPHERS[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                              "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                              "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char CIPHERSUITES[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

/* The first list that this OpenSSL knows: ML-KEM came with 3.5. */
static const char *const CURVES[] = {"X25519MLKEM768:X25519:P-256:P-384", "X25519:P-256:P-384"};

static int set_curves(SSL_CTX *ctx, const char *wanted)
{
    if (wanted) return SSL_CTX_set1_groups_list(ctx, (uintptr_t)wanted) == 1 ? 0 : -1;
    for (size_t i = 0; i < ARRAY_LEN(CURVES); i++) {
        if (SSL_CTX_set1_groups_list(ctx, (uintptr_t)CURVES[i]) != 1) continue;
        ERR_clear_error();
        return 0;
    }
    return -1;
}

int tls_policy_apply(SSL_CTX *ctx, const struct tls_policy *policy, const char **part)
{
    *part = NULL;
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
    if (policy->server_order) SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_set_num_tickets(ctx, 0) != 1) return -1;
    if (SSL_CTX_set_min_proto_version(ctx, policy->profile == TLS_MODERN ? TLS1_3_VERSION : TLS1_2_VERSION) != 1)
        return -1;
    *part = "ciphers";
    if (SSL_CTX_set_cipher_list(ctx, policy->ciphers ? policy->ciphers : CIPHERS) != 1) return -1;
    *part = "ciphersuites";
    if (SSL_CTX_set_ciphersuites(ctx, policy->ciphersuites ? policy->ciphersuites : CIPHERSUITES) != 1) return -1;
    *part = "curves";
    return set_curves(ctx, policy->curves);
}
