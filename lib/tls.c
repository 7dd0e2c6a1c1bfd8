#include "lib/tls.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Mozilla's "intermediate" list for servers, guidelines version 5.7, without the DHE suites. */
static const char INTERMEDIATE_CIPHERS[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                           "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                           "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

/* The first list that this OpenSSL knows. */
static const char *const GROUP_LISTS[] = {"X25519MLKEM768:X25519:P-256", "X25519:P-256"};

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

static bool in_group(gid_t wanted)
{
    gid_t groups[256];

    if (getegid() == wanted) return true;
    int count = getgroups(ARRAY_LEN(groups), groups);
    for (int i = 0; i < count; i++) {
        if (groups[i] == wanted) return true;
    }
    return false;
}

/* key_is_private - root may share a key with one group of ours (as ssl-cert does); nobody else may read it. */
static bool key_is_private(const struct stat *st)
{
    if (st->st_mode & (S_IRWXO | S_IWGRP | S_IXGRP)) return false;
    return !(st->st_mode & S_IRGRP) || (st->st_uid == 0 && in_group(st->st_gid));
}

/* no_passphrase - a server must start unattended, so an encrypted key is an error and never a prompt. */
static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)arg;
    return -1;
}

static EVP_PKEY *read_key(const char *path, char *why, size_t cap)
{
    struct stat st;
    FILE *file = fopen(path, "re");

    if (!file) {
        snprintf(why, cap, "%s: %s", path, strerror(errno));
        return NULL;
    }
    EVP_PKEY *key = NULL;
    if (fstat(fileno(file), &st) != 0 || !S_ISREG(st.st_mode)) {
        snprintf(why, cap, "%s: not a regular file", path);
    } else if (!key_is_private(&st)) {
        snprintf(why, cap, "%s: the private key is open to others (mode %04o): run `chmod 600 %s`", path,
                 (unsigned)(st.st_mode & 07777), path);
    } else {
        key = PEM_read_PrivateKey(file, NULL, no_passphrase, NULL);
        if (!key) snprintf(why, cap, "%s: no unencrypted private key in PEM form: %s", path, tls_error());
    }
    fclose(file);
    return key;
}

static int load_pair(SSL_CTX *ctx, const char *cert_path, const char *key_path, char *why, size_t cap)
{
    if (access(cert_path, R_OK) != 0) {
        snprintf(why, cap, "%s: %s", cert_path, strerror(errno));
        return -1;
    }
    if (SSL_CTX_use_certificate_chain_file(ctx, cert_path) != 1) {
        snprintf(why, cap, "%s: no certificate in PEM form: %s", cert_path, tls_error());
        return -1;
    }
    EVP_PKEY *key = read_key(key_path, why, cap);
    if (!key) return -1;
    int fits = X509_check_private_key(SSL_CTX_get0_certificate(ctx), key);
    bool used = fits == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1;
    EVP_PKEY_free(key);
    if (used) return 0;
    if (fits != 1) {
        ERR_clear_error();
        snprintf(why, cap, "%s: not the key of the first certificate in %s", key_path, cert_path);
    } else {
        snprintf(why, cap, "%s: cannot be used: %s", key_path, tls_error());
    }
    return -1;
}

static int set_profile(SSL_CTX *ctx, enum tls_profile profile)
{
    int oldest = profile == TLS_MODERN ? TLS1_3_VERSION : TLS1_2_VERSION;

    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    /* No resumption at all: sessions cannot cross names then, and a stream that lives for hours gains nothing. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_set_num_tickets(ctx, 0) != 1) return -1;
    if (SSL_CTX_set_min_proto_version(ctx, oldest) != 1) return -1;
    if (SSL_CTX_set_cipher_list(ctx, INTERMEDIATE_CIPHERS) != 1) return -1;
    for (size_t i = 0; i < ARRAY_LEN(GROUP_LISTS); i++) {
        if (SSL_CTX_set1_groups_list(ctx, (uintptr_t)GROUP_LISTS[i]) == 1) {
            ERR_clear_error();
            return 0;
        }
    }
    return -1;
}

/* accept_name - so that the answer says that the name was used (RFC 6066 section 3). */
static int accept_name(SSL *ssl, int *alert, void *arg)
{
    (void)alert;
    (void)arg;
    return SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                       unsigned in_len, void *arg)
{
    const char *wanted = SSL_get_ex_data(ssl, alpn_index);

    (void)arg;
    if (!wanted) return SSL_TLSEXT_ERR_NOACK;
    size_t wanted_len = strlen(wanted);
    for (unsigned i = 0; i < in_len && in[i] < in_len - i; i += in[i] + 1u) {
        if (in[i] != wanted_len || memcmp(in + i + 1, wanted, wanted_len) != 0) continue;
        *out = in + i + 1;
        *out_len = in[i];
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

SSL_CTX *tls_server_ctx(const char *cert_path, const char *key_path, enum tls_profile profile, char *why, size_t cap)
{
    ensure_indexes();
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx || set_profile(ctx, profile) != 0) {
        snprintf(why, cap, "OpenSSL cannot be set up: %s", tls_error());
        SSL_CTX_free(ctx);
        return NULL;
    }
    if (load_pair(ctx, cert_path, key_path, why, cap) != 0) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_tlsext_servername_callback(ctx, accept_name);
    SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
    return ctx;
}

/* hello_name - the host name of the server_name extension (RFC 6066 section 3) into out: lower case, no trailing dot.
 * NULL when there is none; a malformed one is refused by OpenSSL itself a little later. */
static const char *hello_name(SSL *ssl, char out[256])
{
    const unsigned char *ext;
    size_t len;

    if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &ext, &len)) return NULL;
    if (len < 5 || ext[2] != TLSEXT_NAMETYPE_host_name) return NULL;
    size_t name_len = (size_t)ext[3] << 8 | ext[4];
    if (name_len != len - 5 || name_len == 0 || name_len > 255) return NULL;
    for (size_t i = 0; i < name_len; i++)
        out[i] = (char)tolower(ext[5 + i]);
    if (out[name_len - 1] == '.') name_len--;
    out[name_len] = '\0';
    return name_len > 0 ? out : NULL;
}

static int choose_by_hello(SSL *ssl, int *alert, void *arg)
{
    struct chooser *chooser = arg;
    char name[256];
    struct tls_choice choice = chooser->choose(hello_name(ssl, name), chooser->arg);

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
