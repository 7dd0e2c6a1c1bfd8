#include "lib/tls_ask.h"

#include "lib/tls.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>

/* take_any - instead of OpenSSL's check: who looks at the result of the handshake must not believe that there was one.
 */
static int take_any(X509_STORE_CTX *check, void *arg)
{
    (void)arg;
    X509_STORE_CTX_set_error(check, X509_V_ERR_APPLICATION_VERIFICATION);
    return 1;
}

int tls_ask_client(SSL_CTX *ctx, enum tls_ask ask, const char *ca_path, char *why, size_t cap)
{
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(ca_path);
    X509_STORE *store = X509_STORE_new();
    if (!names || !store || X509_STORE_load_file(store, ca_path) != 1 ||
        SSL_CTX_set1_verify_cert_store(ctx, store) != 1) {
        snprintf(why, cap, "%s: no certificates in PEM form: %s", ca_path, tls_error());
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        X509_STORE_free(store);
        return -1;
    }
    X509_STORE_free(store); /* ctx has it now */
    SSL_CTX_set_client_CA_list(ctx, names);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | (ask == TLS_ASK_REQUIRED ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
    if (ask == TLS_ASK_OPTIONAL) SSL_CTX_set_cert_verify_callback(ctx, take_any, NULL);
    return 0;
}

static void append(STACK_OF(X509) * chain, X509 *cert)
{
    CHECK(X509_up_ref(cert) == 1 && sk_X509_push(chain, cert) > 0);
}

STACK_OF(X509) * tls_ask_chain(SSL *ssl)
{
    X509 *leaf = SSL_get0_peer_certificate(ssl);
    STACK_OF(X509) *rest = SSL_get_peer_cert_chain(ssl); /* a server's has no leaf */
    if (!leaf) return NULL;
    STACK_OF(X509) *chain = sk_X509_new_null();
    CHECK(chain != NULL);
    append(chain, leaf);
    for (int i = 0; i < sk_X509_num(rest) && i + 1 < TLS_ASK_CHAIN_MAX; i++)
        append(chain, sk_X509_value(rest, i));
    return chain;
}

bool tls_ask_verify(SSL_CTX *ctx, STACK_OF(X509) * chain, const char **why)
{
    X509_STORE *store = NULL;
    if (SSL_CTX_get0_verify_cert_store(ctx, &store) != 1 || !store) {
        *why = "no certificates are asked for";
        return false;
    }
    X509_STORE_CTX *check = X509_STORE_CTX_new();
    CHECK(check != NULL);
    bool good = X509_STORE_CTX_init(check, store, sk_X509_value(chain, 0), chain) == 1 &&
                X509_STORE_CTX_set_default(check, "ssl_client") == 1;
    if (good) {
        X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(check);
        X509_VERIFY_PARAM_set_depth(param, TLS_ASK_CHAIN_MAX);
        X509_VERIFY_PARAM_set_auth_level(param, SSL_CTX_get_security_level(ctx));
        good = X509_verify_cert(check) == 1;
    }
    const int error = X509_STORE_CTX_get_error(check);
    *why = good ? NULL : error == X509_V_OK ? "it cannot be checked" : X509_verify_cert_error_string(error);
    X509_STORE_CTX_free(check);
    ERR_clear_error();
    return good;
}
