#include "lib/tls_client.h"

#include "lib/tls.h"
#include "lib/tls_ask.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

enum { ALPN_MAX_BYTES = 255 };

static int show_certificate(SSL_CTX *ctx, SSL_CTX *server)
{
    STACK_OF(X509) *chain = NULL;
    X509 *leaf = SSL_CTX_get0_certificate(server);
    EVP_PKEY *key = SSL_CTX_get0_privatekey(server);
    if (!leaf || !key || SSL_CTX_get0_chain_certs(server, &chain) != 1) return -1;
    return SSL_CTX_use_cert_and_key(ctx, leaf, key, chain, 1) == 1 ? 0 : -1;
}

SSL_CTX *tls_client_ctx(SSL_CTX *server, enum tls_profile profile)
{
    const struct tls_policy policy = {.profile = profile};
    const char *part = NULL;
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    if (!ctx || tls_policy_apply(ctx, &policy, &part) != 0 || (server && show_certificate(ctx, server) != 0)) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    tls_make_choosable(ctx);
    tls_ask_any(ctx);
    return ctx;
}

/* RFC 6066 section 3 has no names for addresses. */
static bool is_address(const char *text)
{
    struct in6_addr any;
    return inet_pton(AF_INET, text, &any) == 1 || inet_pton(AF_INET6, text, &any) == 1;
}

SSL *tls_client_ssl(SSL_CTX *ctx, const char *server_name, const char *alpn)
{
    uint8_t list[1 + ALPN_MAX_BYTES];
    SSL *ssl = SSL_new(ctx);
    CHECK(ssl != NULL);
    SSL_set_connect_state(ssl);
    if (server_name && strlen(server_name) <= TLSEXT_MAXLEN_host_name && !is_address(server_name))
        CHECK(SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, (void *)(uintptr_t)server_name) ==
              1);
    if (!alpn) return ssl;
    const size_t len = strlen(alpn);
    CHECK(len > 0 && len <= ALPN_MAX_BYTES);
    list[0] = (uint8_t)len;
    memcpy(list + 1, alpn, len);
    CHECK(SSL_set_alpn_protos(ssl, list, (unsigned)len + 1) == 0);
    return ssl;
}
