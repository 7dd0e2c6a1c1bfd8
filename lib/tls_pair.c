#include "lib/tls_pair.h"

#include "lib/mem.h"
#include "lib/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX_BYTES = 1 << 20, CHAIN_MAX = 16 };

/* A file's text in memory that is wiped. */
struct text {
    char *bytes;
    size_t len;
    struct stat st;
};

static void text_free(struct text *text)
{
    if (text->bytes) mem_wipe(text->bytes, text->len);
    free(text->bytes);
    *text = (struct text){0};
}

static int read_whole(int fd, struct text *out)
{
    while (out->len < (size_t)out->st.st_size) {
        ssize_t got = read(fd, out->bytes + out->len, (size_t)out->st.st_size - out->len);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -1;
        if (got == 0) break; /* it has shrunk */
        out->len += (size_t)got;
    }
    return 0;
}

static int read_text(const char *path, struct text *out, char *why, size_t cap)
{
    *out = (struct text){0};
    /* Non-blocking, or a FIFO in the folder would stop us here. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        snprintf(why, cap, "%s: %s", path, strerror(errno));
        return -1;
    }
    int rc = -1;
    if (fstat(fd, &out->st) != 0 || !S_ISREG(out->st.st_mode)) {
        snprintf(why, cap, "%s: not a regular file", path);
    } else if (out->st.st_size > FILE_MAX_BYTES) {
        snprintf(why, cap, "%s: larger than %d bytes", path, FILE_MAX_BYTES);
    } else {
        out->bytes = mem_alloc((size_t)out->st.st_size + 1);
        rc = read_whole(fd, out);
        if (rc != 0) snprintf(why, cap, "%s: %s", path, strerror(errno));
    }
    close(fd);
    if (rc != 0) text_free(out);
    return rc;
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

/* key_is_private - root may share a key with one group (as ssl-cert does): a group of ours, or any when we are root
 * ourselves; nobody else may read it. */
static bool key_is_private(const struct stat *st)
{
    if (st->st_mode & (S_IRWXO | S_IWGRP | S_IXGRP)) return false;
    return !(st->st_mode & S_IRGRP) || (st->st_uid == 0 && (geteuid() == 0 || in_group(st->st_gid)));
}

/* no_passphrase - a server must start unattended, so an encrypted key is an error and never a prompt.  arg: a flag that
 * is set when one is asked for. */
static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    *(bool *)arg = true;
    return -1;
}

static BIO *open_text(const struct text *text)
{
    BIO *bio = BIO_new_mem_buf(text->bytes, (int)text->len);
    CHECK(bio != NULL);
    return bio;
}

static EVP_PKEY *parse_key(const struct text *text, const char *path, char *why, size_t cap)
{
    if (!key_is_private(&text->st)) {
        snprintf(why, cap, "%s: the private key is open to others (mode %04o): run `chmod 600 %s`", path,
                 (unsigned)(text->st.st_mode & 07777), path);
        return NULL;
    }
    BIO *bio = open_text(text);
    bool encrypted = false;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &encrypted);
    BIO_free(bio);
    if (!key && encrypted)
        snprintf(why, cap,
                 "%s: the private key is encrypted, and nobody is there to be asked for its password: store it "
                 "without one, by `openssl pkey -in %s -out FILE`",
                 path, path);
    else if (!key)
        snprintf(why, cap, "%s: no private key in PEM form: %s", path, tls_error());
    ERR_clear_error();
    return key;
}

static int parse_certificates(struct tls_pair *pair, const struct text *text, char *why, size_t cap)
{
    BIO *bio = open_text(text);
    X509 *cert;
    bool encrypted;
    pair->leaf = PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, &encrypted);
    if (!pair->leaf) {
        snprintf(why, cap, "%s: no certificate in PEM form: %s", pair->file, tls_error());
        BIO_free(bio);
        return -1;
    }
    while (sk_X509_num(pair->chain) < CHAIN_MAX &&
           (cert = PEM_read_bio_X509(bio, NULL, no_passphrase, &encrypted)) != NULL) {
        if (!pair->chain) pair->chain = sk_X509_new_null();
        CHECK(pair->chain != NULL && sk_X509_push(pair->chain, cert) > 0);
    }
    BIO_free(bio);
    /* No start line: the end, or something else than certificates. */
    unsigned long error = ERR_peek_last_error();
    if (error != 0 && ERR_GET_REASON(error) != PEM_R_NO_START_LINE) {
        snprintf(why, cap, "%s: a certificate of the chain cannot be read: %s", pair->file, tls_error());
        return -1;
    }
    ERR_clear_error();
    return 0;
}

static void digest_part(EVP_MD_CTX *ctx, uint8_t *der, int len)
{
    const uint32_t head = len > 0 ? (uint32_t)len : 0;
    CHECK(EVP_DigestUpdate(ctx, &head, sizeof head) == 1 && EVP_DigestUpdate(ctx, der, head) == 1);
    OPENSSL_clear_free(der, head);
}

static void set_id(struct tls_pair *pair)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t *der = NULL;
    CHECK(ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1);
    int len = i2d_PrivateKey(pair->key, &der);
    digest_part(ctx, der, len);
    for (int i = -1; i < sk_X509_num(pair->chain); i++) {
        der = NULL;
        len = i2d_X509(i < 0 ? pair->leaf : sk_X509_value(pair->chain, i), &der);
        digest_part(ctx, der, len);
    }
    CHECK(EVP_DigestFinal_ex(ctx, pair->id, NULL) == 1);
    EVP_MD_CTX_free(ctx);
}

/* Returns 0 when the key is the leaf's. */
static int complete(struct tls_pair *pair)
{
    bool fits = X509_check_private_key(pair->leaf, pair->key) == 1;
    ERR_clear_error();
    if (!fits) return -1;
    set_id(pair);
    return 0;
}

static struct tls_pair *pair_new(const char *file)
{
    struct tls_pair *pair = MEM_NEW(struct tls_pair);
    pair->refs = 1;
    pair->file = mem_strdup(file);
    return pair;
}

struct tls_pair *tls_pair_from_parts(const char *file, X509 *leaf, STACK_OF(X509) * chain, EVP_PKEY *key)
{
    struct tls_pair *pair = pair_new(file);
    pair->leaf = leaf;
    pair->chain = chain;
    pair->key = key;
    if (!leaf || !key || complete(pair) != 0) tls_pair_unref(&pair);
    return pair;
}

static bool has_key(const struct text *text)
{
    return memmem(text->bytes, text->len, "PRIVATE KEY-----", 16) != NULL;
}

bool tls_pair_has_key(const char *cert_path)
{
    struct text text;
    char why[512];
    if (read_text(cert_path, &text, why, sizeof(why)) != 0) return false;
    bool has = has_key(&text);
    text_free(&text);
    return has;
}

static EVP_PKEY *find_key(const struct text *text, const char *cert_path, const char *key_path, char *why, size_t cap)
{
    char *found = NULL;
    if (!key_path) {
        if (has_key(text)) return parse_key(text, cert_path, why, cap);
        key_path = found = tls_pair_key_path(cert_path);
    }
    if (!key_path) {
        snprintf(why, cap, "%s: no private key in it, nor beside it (%s.key, privkey.pem)", cert_path, cert_path);
        return NULL;
    }
    struct text own;
    EVP_PKEY *key = NULL;
    if (read_text(key_path, &own, why, cap) == 0) {
        key = parse_key(&own, key_path, why, cap);
        text_free(&own);
    }
    free(found);
    return key;
}

struct tls_pair *tls_pair_read(const char *cert_path, const char *key_path, char *why, size_t cap)
{
    struct text text;
    if (read_text(cert_path, &text, why, cap) != 0) return NULL;
    struct tls_pair *pair = pair_new(cert_path);
    int rc = parse_certificates(pair, &text, why, cap);
    if (rc == 0) {
        pair->key = find_key(&text, cert_path, key_path, why, cap);
        if (!pair->key) rc = -1;
    }
    if (rc == 0 && complete(pair) != 0) {
        snprintf(why, cap, "%s: not the key of the first certificate in %s", key_path ? key_path : cert_path,
                 cert_path);
        rc = -1;
    }
    text_free(&text);
    if (rc != 0) tls_pair_unref(&pair);
    return pair;
}

struct tls_pair *tls_pair_ref(struct tls_pair *pair)
{
    pair->refs++;
    return pair;
}

void tls_pair_unref(struct tls_pair **pair)
{
    struct tls_pair *old = *pair;
    if (!old) return;
    *pair = NULL;
    if (--old->refs > 0) return;
    X509_free(old->leaf);
    sk_X509_pop_free(old->chain, X509_free);
    EVP_PKEY_free(old->key);
    free(old->file);
    free(old);
}

char *tls_pair_key_path(const char *cert_path)
{
    const char *slash = strrchr(cert_path, '/');
    const char *name = slash ? slash + 1 : cert_path;
    const char *dot = strrchr(name, '.');
    char *const places[] = {
        mem_asprintf("%s.key", cert_path),
        mem_asprintf("%.*s.key", dot ? (int)(dot - cert_path) : (int)strlen(cert_path), cert_path),
        mem_asprintf("%.*sprivkey.pem", (int)(name - cert_path), cert_path),
    };
    char *found = NULL;
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        bool here = !found && strcmp(places[i], cert_path) != 0 && access(places[i], F_OK) == 0;
        if (here)
            found = places[i];
        else
            free(places[i]);
    }
    return found;
}
