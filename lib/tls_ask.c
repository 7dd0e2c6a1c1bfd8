#include "lib/tls_ask.h"

#include "lib/tls.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

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

/* The certificates of a connection that was packed, in DER, one behind the other. */
struct packed {
    size_t len;
    unsigned char der[];
};

static int packed_index;

static void free_packed(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
    (void)parent;
    (void)ad;
    (void)index;
    (void)argl;
    (void)argp;
    OPENSSL_free(ptr);
}

static void make_index(void)
{
    packed_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_packed);
    CHECK(packed_index >= 0);
}

static void need_index(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_index);
}

static void append(STACK_OF(X509) * chain, X509 *cert)
{
    CHECK(X509_up_ref(cert) == 1 && sk_X509_push(chain, cert) > 0);
}

static STACK_OF(X509) * unpack(const struct packed *packed)
{
    const unsigned char *at = packed->der;
    STACK_OF(X509) *chain = sk_X509_new_null();
    CHECK(chain != NULL);
    while (at < packed->der + packed->len) {
        X509 *cert = d2i_X509(NULL, &at, packed->der + packed->len - at);
        if (!cert) break;
        CHECK(sk_X509_push(chain, cert) > 0);
    }
    return chain;
}

STACK_OF(X509) * tls_ask_chain(SSL *ssl)
{
    need_index();
    const struct packed *packed = SSL_get_ex_data(ssl, packed_index);
    X509 *leaf = SSL_get0_peer_certificate(ssl);
    STACK_OF(X509) *rest = SSL_get_peer_cert_chain(ssl); /* begins with the leaf when the peer is the server */
    const int first = SSL_is_server(ssl) ? 0 : 1;
    if (packed) return unpack(packed);
    if (!leaf) return NULL;
    STACK_OF(X509) *chain = sk_X509_new_null();
    CHECK(chain != NULL);
    append(chain, leaf);
    for (int i = first; i < sk_X509_num(rest) && sk_X509_num(chain) < TLS_ASK_CHAIN_MAX; i++)
        append(chain, sk_X509_value(rest, i));
    return chain;
}

static struct packed *pack(STACK_OF(X509) * chain)
{
    size_t len = 0;
    for (int i = 0; i < sk_X509_num(chain); i++) {
        const int one = i2d_X509(sk_X509_value(chain, i), NULL);
        if (one <= 0) return NULL;
        len += (size_t)one;
    }
    struct packed *packed = OPENSSL_malloc(sizeof(*packed) + len);
    CHECK(packed != NULL);
    packed->len = len;
    unsigned char *at = packed->der;
    for (int i = 0; i < sk_X509_num(chain); i++)
        CHECK(i2d_X509(sk_X509_value(chain, i), &at) > 0);
    return packed;
}

enum { SESSION_PEER_TAG = 3 };

/* without_peer - a session as i2d_SSL_SESSION writes it, but for the certificate.  NULL: it is not as it should be. */
static unsigned char *without_peer(const unsigned char *der, long len, long *out_len)
{
    const unsigned char *at = der, *peer = NULL;
    long content = 0, peer_len = 0, one = 0;
    int tag = 0, class = 0;
    if ((ASN1_get_object(&at, &content, &tag, &class, len) & 0x80) || tag != V_ASN1_SEQUENCE) return NULL;
    const unsigned char *const begin = at, *const end = at + content;
    while (at < end) {
        const unsigned char *item = at;
        if (ASN1_get_object(&at, &one, &tag, &class, end - at) & 0x80) return NULL;
        at += one;
        if (tag != SESSION_PEER_TAG || class != V_ASN1_CONTEXT_SPECIFIC) continue;
        peer = item;
        peer_len = at - item;
    }
    if (!peer) return NULL;
    *out_len = ASN1_object_size(1, (int)(content - peer_len), V_ASN1_SEQUENCE);
    unsigned char *out = OPENSSL_malloc((size_t)*out_len), *put = out;
    CHECK(out != NULL);
    ASN1_put_object(&put, 1, (int)(content - peer_len), V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
    memcpy(put, begin, (size_t)(peer - begin));
    memcpy(put + (peer - begin), peer + peer_len, (size_t)(end - peer - peer_len));
    return out;
}

/* OpenSSL has no call to let go of the peer's certificate; but reading a session anew from what it has written, into
 * the same one, replaces all that is in it. */
static void forget_leaf(SSL_SESSION *session)
{
    unsigned char *der = NULL;
    long bare_len = 0;
    const int len = i2d_SSL_SESSION(session, &der);
    unsigned char *bare = len > 0 ? without_peer(der, len, &bare_len) : NULL;
    const unsigned char *at = bare;
    if (bare) (void)d2i_SSL_SESSION(&session, &at, bare_len);
    if (bare) OPENSSL_clear_free(bare, (size_t)bare_len);
    if (der) OPENSSL_clear_free(der, (size_t)len);
}

void tls_ask_pack(SSL *ssl, bool keep)
{
    STACK_OF(X509) *chain = tls_ask_chain(ssl), *sent = SSL_get_peer_cert_chain(ssl);
    SSL_SESSION *session = SSL_get_session(ssl);
    if (!chain || !session) return;
    struct packed *packed = keep ? pack(chain) : NULL;
    sk_X509_pop_free(chain, X509_free);
    if (keep && !packed) return;
    OPENSSL_free(SSL_get_ex_data(ssl, packed_index));
    CHECK(SSL_set_ex_data(ssl, packed_index, packed) == 1);
    while (sk_X509_num(sent) > 0)
        X509_free(sk_X509_pop(sent));
    forget_leaf(session);
    ERR_clear_error();
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
