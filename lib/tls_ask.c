#include "lib/tls_ask.h"

#include "lib/tls.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>

enum { RSA_MAX_BITS = 8192, RSA_EXPONENT_MAX_BITS = 64, CURVE_MAX_BITS = 521 };

static bool is_bearable_rsa(const EVP_PKEY *key)
{
    BIGNUM *exponent = NULL;
    if (EVP_PKEY_get_bits(key) > RSA_MAX_BITS) return false;
    const bool known = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1;
    const bool bearable = known && BN_num_bits(exponent) <= RSA_EXPONENT_MAX_BITS;
    BN_free(exponent);
    return bearable;
}

static bool is_named_curve(const EVP_PKEY *key)
{
    char name[64];
    size_t len = 0;
    return EVP_PKEY_get_bits(key) <= CURVE_MAX_BITS && EVP_PKEY_get_group_name(key, name, sizeof(name), &len) == 1;
}

bool tls_ask_bearable(X509 *cert)
{
    const EVP_PKEY *key = X509_get0_pubkey(cert);
    bool bearable = false;
    if (key) {
        switch (EVP_PKEY_get_base_id(key)) {
        case EVP_PKEY_RSA:
        case EVP_PKEY_RSA_PSS:
            bearable = is_bearable_rsa(key);
            break;
        case EVP_PKEY_EC:
            bearable = is_named_curve(key);
            break;
        case EVP_PKEY_DSA:
            break;
        default:
            bearable = true; /* their sizes are fixed */
            break;
        }
    }
    ERR_clear_error();
    return bearable;
}

/* take_any - instead of OpenSSL's check: who looks at the result of the handshake must not believe that there was one.
 */
static int take_any(X509_STORE_CTX *check, void *arg)
{
    (void)arg;
    const bool bearable = tls_ask_bearable(X509_STORE_CTX_get0_cert(check));
    X509_STORE_CTX_set_error(check, bearable ? X509_V_ERR_APPLICATION_VERIFICATION : X509_V_ERR_CERT_REJECTED);
    return bearable;
}

void tls_ask_any(SSL_CTX *ctx)
{
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, take_any, NULL);
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
    if (ask == TLS_ASK_OPTIONAL)
        tls_ask_any(ctx);
    else
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return 0;
}

static void append(STACK_OF(X509) * chain, X509 *cert)
{
    CHECK(X509_up_ref(cert) == 1 && sk_X509_push(chain, cert) > 0);
}

STACK_OF(X509) * tls_ask_chain(SSL *ssl)
{
    X509 *leaf = SSL_get0_peer_certificate(ssl);
    STACK_OF(X509) *rest = SSL_get_peer_cert_chain(ssl); /* begins with the leaf when the peer is the server */
    const int first = SSL_is_server(ssl) ? 0 : 1;
    if (!leaf) return NULL;
    STACK_OF(X509) *chain = sk_X509_new_null();
    CHECK(chain != NULL);
    append(chain, leaf);
    for (int i = first; i < sk_X509_num(rest) && sk_X509_num(chain) < TLS_ASK_CHAIN_MAX; i++)
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
