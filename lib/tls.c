#include "lib/tls.h"

#include "lib/tls_pair.h"

#include <ctype.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* Where a context keeps its chooser, and a connection the ALPN name that was chosen for it. */
struct chooser {
    tls_choose_fn *choose;
    void *arg;
};

static int chooser_index, alpn_index;

static void free_chooser(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
    (void)parent;
    (void)ad;
    (void)index;
    (void)argl;
    (void)argp;
    OPENSSL_free(ptr);
}

static void make_indexes(void)
{
    chooser_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_chooser);
    alpn_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    CHECK(chooser_index >= 0 && alpn_index >= 0);
}

static void ensure_indexes(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_indexes);
}

int tls_accept_name(SSL *ssl, int *alert, void *arg)
{
    (void)alert;
    (void)arg;
    return SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

/* find_alpn - where a name stands in a list of names, each after its length; NULL: nowhere. */
static const unsigned char *find_alpn(const unsigned char *list, size_t len, const char *wanted)
{
    const size_t wanted_len = strlen(wanted);
    for (size_t i = 0; i < len && list[i] < len - i; i += list[i] + 1u)
        if (list[i] == wanted_len && memcmp(list + i + 1, wanted, wanted_len) == 0) return list + i + 1;
    return NULL;
}

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                       unsigned in_len, void *arg)
{
    const char *wanted = SSL_get_ex_data(ssl, alpn_index);

    (void)arg;
    const unsigned char *found = wanted ? find_alpn(in, in_len, wanted) : NULL;
    if (!found) return SSL_TLSEXT_ERR_NOACK;
    *out = found;
    *out_len = (unsigned char)strlen(wanted);
    return SSL_TLSEXT_ERR_OK;
}

void tls_make_choosable(SSL_CTX *ctx)
{
    ensure_indexes();
    SSL_CTX_set_tlsext_servername_callback(ctx, tls_accept_name);
    SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
}

static int use_pair(SSL_CTX *ctx, const struct tls_pair *pair, const char *key_path, char *why, size_t cap)
{
    if (SSL_CTX_use_cert_and_key(ctx, pair->leaf, pair->key, pair->chain, 1) == 1) return 0;
    snprintf(why, cap, "%s: cannot be used: %s", key_path, tls_error());
    return -1;
}

SSL_CTX *tls_server_ctx(const char *cert_path, const char *key_path, enum tls_profile profile, char *why, size_t cap)
{
    const struct tls_policy policy = {.profile = profile};
    const char *part;

    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    /* No resumption at all: sessions cannot cross names then, and a stream that lives for hours gains nothing. */
    if (!ctx || tls_policy_apply(ctx, &policy, &part) != 0) {
        snprintf(why, cap, "OpenSSL cannot be set up: %s", tls_error());
        SSL_CTX_free(ctx);
        return NULL;
    }
    struct tls_pair *pair = tls_pair_read(cert_path, key_path, why, cap);
    int rc = pair ? use_pair(ctx, pair, key_path, why, cap) : -1;
    tls_pair_unref(&pair);
    if (rc != 0) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    tls_make_choosable(ctx);
    return ctx;
}

const char *tls_hello_name(SSL *ssl, char out[TLS_NAME_BYTES])
{
    const unsigned char *ext;
    size_t len;

    if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &ext, &len)) return NULL;
    if (len < 5 || ext[2] != TLSEXT_NAMETYPE_host_name) return NULL;
    size_t name_len = (size_t)ext[3] << 8 | ext[4];
    if (name_len != len - 5 || name_len == 0 || name_len >= TLS_NAME_BYTES) return NULL;
    for (size_t i = 0; i < name_len; i++)
        out[i] = (char)tolower(ext[5 + i]);
    if (out[name_len - 1] == '.') name_len--;
    out[name_len] = '\0';
    return name_len > 0 ? out : NULL;
}

bool tls_hello_offers(SSL *ssl, const char *alpn)
{
    const unsigned char *ext;
    size_t len;

    if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &ext, &len)) return false;
    /* The length of the whole list comes first; OpenSSL refuses a wrong one a little later. */
    return len > 2 && find_alpn(ext + 2, len - 2, alpn) != NULL;
}

static int choose_by_hello(SSL *ssl, int *alert, void *arg)
{
    struct chooser *chooser = arg;
    char name[TLS_NAME_BYTES];
    struct tls_choice choice = chooser->choose(ssl, tls_hello_name(ssl, name), chooser->arg);

    if (!choice.ctx) {
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_CLIENT_HELLO_ERROR;
    }
    /* SSL_set_SSL_CTX changes the certificate and the callbacks only; the profile, and whether the client is asked for
     * a certificate, are carried over here. */
    if (!SSL_set_ex_data(ssl, alpn_index, (void *)(uintptr_t)choice.alpn) || !SSL_set_SSL_CTX(ssl, choice.ctx) ||
        !SSL_set_min_proto_version(ssl, (int)SSL_CTX_get_min_proto_version(choice.ctx))) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(choice.ctx), NULL);
    return SSL_CLIENT_HELLO_SUCCESS;
}

void tls_set_chooser(SSL_CTX *ctx, tls_choose_fn *choose, void *arg)
{
    ensure_indexes();
    struct chooser *chooser = OPENSSL_zalloc(sizeof *chooser);
    CHECK(chooser != NULL);
    chooser->choose = choose;
    chooser->arg = arg;
    OPENSSL_free(SSL_CTX_get_ex_data(ctx, chooser_index));
    CHECK(SSL_CTX_set_ex_data(ctx, chooser_index, chooser) == 1);
    SSL_CTX_set_client_hello_cb(ctx, choose_by_hello, chooser);
}

bool tls_exporter(SSL *ssl, uint8_t out[TLS_EXPORTER_BYTES])
{
    static const char LABEL[] = "EXPORTER-Channel-Binding";
    int version = SSL_version(ssl);

    if (!SSL_is_init_finished(ssl) || version < TLS1_2_VERSION) return false;
    if (version == TLS1_2_VERSION && SSL_get_extms_support(ssl) != 1) return false;
    /* RFC 9266 section 2 asks for a context of zero length, which TLS 1.2 (unlike 1.3) tells from none: RFC 5705
     * section 4. */
    bool done = SSL_export_keying_material(ssl, out, TLS_EXPORTER_BYTES, LABEL, sizeof LABEL - 1,
                                           (const unsigned char *)"", 0, 1) == 1;
    ERR_clear_error();
    return done;
}

/* Setting the type of a key that has one destroys what it holds. */
static void empty_key(EVP_PKEY *key)
{
    if (EVP_PKEY_set_type(key, EVP_PKEY_get_base_id(key)) != 1) ERR_clear_error();
    EVP_PKEY_free(key);
}

void tls_forget_exchange(SSL *ssl)
{
    EVP_PKEY *key = NULL;
    if (SSL_get_tmp_key(ssl, &key) == 1) empty_key(key);
    if (SSL_get_peer_tmp_key(ssl, &key) == 1) empty_key(key);
}

size_t tls_server_end_point(SSL *ssl, uint8_t out[TLS_END_POINT_MAX_BYTES])
{
    X509 *cert = SSL_get_certificate(ssl);
    int digest_nid = NID_undef;
    unsigned len = 0;

    if (!cert) return 0;
    bool known = X509_get_signature_info(cert, &digest_nid, NULL, NULL, NULL) == 1 && digest_nid != NID_undef;
    if (digest_nid == NID_md5 || digest_nid == NID_sha1) digest_nid = NID_sha256;
    const EVP_MD *digest = known ? EVP_get_digestbynid(digest_nid) : NULL;
    bool done = digest && EVP_MD_get_size(digest) <= TLS_END_POINT_MAX_BYTES && X509_digest(cert, digest, out, &len);
    ERR_clear_error();
    return done ? len : 0;
}

const char *tls_error(void)
{
    unsigned long code = ERR_get_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    ERR_clear_error();
    return reason ? reason : "no reason given";
}
