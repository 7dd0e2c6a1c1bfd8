#include "gateway/tls_bundle.h"

#include "gateway/tls_certs.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/tls_pair.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUNDLE_MAGIC = 0x544c5342, CHAIN_MAX = 16 };

/* Then, for each pair: its id, and as parts with a length ahead its file, key, leaf; a count and the chain.  At the end
 * the name of the default, empty when it has none. */
struct head {
    uint32_t magic, count;
};

static int write_all(int fd, const void *data, size_t len)
{
    const uint8_t *at = data;
    while (len > 0) {
        ssize_t wrote = write(fd, at, len);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return -1;
        at += wrote;
        len -= (size_t)wrote;
    }
    return 0;
}

static int write_part(int fd, const void *data, size_t len)
{
    const uint32_t head = (uint32_t)len;
    return write_all(fd, &head, sizeof(head)) < 0 || write_all(fd, data, len) < 0 ? -1 : 0;
}

/* Takes der, which i2d_… made. */
static int write_der(int fd, uint8_t *der, int len)
{
    int rc = len > 0 ? write_part(fd, der, (size_t)len) : -1;
    if (len > 0) OPENSSL_clear_free(der, (size_t)len);
    return rc;
}

static int write_cert(int fd, const X509 *cert)
{
    uint8_t *der = NULL;
    int len = i2d_X509(cert, &der);
    return write_der(fd, der, len);
}

static int write_pair(int fd, const struct tls_pair *pair)
{
    uint8_t *der = NULL;
    const uint32_t chain = (uint32_t)(pair->chain != NULL ? sk_X509_num(pair->chain) : 0);
    if (write_all(fd, pair->id, sizeof(pair->id)) < 0 || write_part(fd, pair->file, strlen(pair->file)) < 0) return -1;
    int len = i2d_PrivateKey(pair->key, &der);
    if (write_der(fd, der, len) < 0 || write_cert(fd, pair->leaf) < 0 || write_all(fd, &chain, sizeof(chain)) < 0)
        return -1;
    for (uint32_t i = 0; i < chain; i++)
        if (write_cert(fd, sk_X509_value(pair->chain, (int)i)) < 0) return -1;
    return 0;
}

static int write_bundle(int fd, const struct tls_certs *certs)
{
    const struct head head = {.magic = BUNDLE_MAGIC, .count = (uint32_t)tls_certs_count(certs)};
    const uint32_t fallback = (uint32_t)tls_certs_default_index(certs);
    if (write_all(fd, &head, sizeof(head)) < 0) return -1;
    for (size_t i = 0; i < head.count; i++)
        if (write_pair(fd, tls_certs_at(certs, i)) < 0) return -1;
    const char *name = tls_certs_default_name(certs);
    if (write_all(fd, &fallback, sizeof(fallback)) < 0 || write_part(fd, name, strlen(name)) < 0) return -1;
    return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
}

int tls_bundle_write(const struct tls_certs *certs)
{
    int fd = memfd_create("postern-certificates", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return -1;
    if (write_bundle(fd, certs) == 0) return fd;
    int saved = errno != 0 ? errno : EIO;
    close(fd);
    errno = saved;
    return -1;
}

/* What is left to read; at NULL: it was cut. */
struct rest {
    const uint8_t *at;
    size_t left;
};

static const uint8_t *take(struct rest *rest, size_t len)
{
    const uint8_t *at = rest->at;
    if (at == NULL || len > rest->left) {
        *rest = (struct rest){0};
        return NULL;
    }
    rest->at += len;
    rest->left -= len;
    return at;
}

static uint32_t take_number(struct rest *rest)
{
    uint32_t number = 0;
    const uint8_t *at = take(rest, sizeof(number));
    if (at != NULL) memcpy(&number, at, sizeof(number));
    return number;
}

static struct rest take_part(struct rest *rest)
{
    uint32_t len = take_number(rest);
    const uint8_t *at = take(rest, len);
    return (struct rest){.at = at, .left = at != NULL ? len : 0};
}

static X509 *take_cert(struct rest *rest)
{
    struct rest part = take_part(rest);
    return part.at != NULL ? d2i_X509(NULL, &part.at, (long)part.left) : NULL;
}

static char *take_text(struct rest *rest)
{
    struct rest part = take_part(rest);
    return part.at != NULL ? mem_strndup((const char *)part.at, part.left) : NULL;
}

/* The chain, parsed, or only passed over. */
static STACK_OF(X509) * take_chain(struct rest *rest, bool parse)
{
    uint32_t count = take_number(rest);
    STACK_OF(X509) *chain = parse && count > 0 ? sk_X509_new_null() : NULL;
    if (count > CHAIN_MAX) *rest = (struct rest){0};
    for (uint32_t i = 0; i < count && rest->at != NULL; i++) {
        X509 *cert = parse ? take_cert(rest) : NULL;
        if (!parse) (void)take_part(rest);
        if (parse && (cert == NULL || sk_X509_push(chain, cert) <= 0)) *rest = (struct rest){0};
    }
    return chain;
}

/* A reference, or NULL. */
static struct tls_pair *take_pair(struct rest *rest, const struct map *have)
{
    const uint8_t *id = take(rest, TLS_PAIR_ID_BYTES);
    struct tls_pair *known = id != NULL ? map_get(have, id, TLS_PAIR_ID_BYTES) : NULL;
    char *file = take_text(rest);
    struct rest der = take_part(rest);
    struct tls_pair *pair = NULL;
    /* The same from another file is told by its new place. */
    if (known != NULL && file != NULL && strcmp(known->file, file) == 0) {
        (void)take_part(rest);
        (void)take_chain(rest, false);
        if (rest->at != NULL) pair = tls_pair_ref(known);
    } else if (der.at != NULL && file != NULL) {
        EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &der.at, (long)der.left);
        X509 *leaf = take_cert(rest);
        STACK_OF(X509) *chain = take_chain(rest, true);
        pair = tls_pair_from_parts(file, leaf, chain, key);
    }
    free(file);
    return pair;
}

static struct map *index_pairs(const struct tls_certs *certs)
{
    struct map *known = map_new();
    for (size_t i = 0; certs != NULL && i < tls_certs_count(certs); i++) {
        struct tls_pair *pair = tls_certs_at(certs, i);
        map_set(known, pair->id, sizeof(pair->id), pair);
    }
    return known;
}

static struct tls_certs *read_bundle(struct rest *rest, const struct map *known)
{
    struct tls_certs *certs = tls_certs_new();
    bool good = take_number(rest) == BUNDLE_MAGIC;
    uint32_t count = take_number(rest);
    for (uint32_t i = 0; good && i < count; i++) {
        struct tls_pair *pair = take_pair(rest, known);
        good = pair != NULL;
        if (good) tls_certs_add(certs, pair);
        tls_pair_unref(&pair);
    }
    uint32_t fallback = take_number(rest);
    char *name = take_text(rest);
    good = good && name != NULL && rest->left == 0 && (count == 0 || fallback < count);
    if (good) tls_certs_set_default(certs, name, count > 0 ? tls_certs_at(certs, fallback) : NULL);
    free(name);
    if (!good) tls_certs_unref(&certs);
    return certs;
}

struct tls_certs *tls_bundle_read(int fd, const struct tls_certs *have, const char **why)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    *why = "not a sealed memfd";
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || (seals & F_SEAL_WRITE) == 0 || fstat(fd, &st) != 0) return NULL;
    *why = "cannot be mapped";
    void *block = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (block == MAP_FAILED) return NULL;
    *why = "malformed";
    struct rest rest = {.at = block, .left = (size_t)st.st_size};
    struct map *known = index_pairs(have);
    struct tls_certs *certs = read_bundle(&rest, known);
    map_free(&known);
    munmap(block, (size_t)st.st_size);
    ERR_clear_error();
    return certs;
}
