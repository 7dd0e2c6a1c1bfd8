#include "gateway/tls_certs.h"

#include "gateway/server_name.h"
#include "lib/map.h"
#include "lib/mem.h"

#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct tls_certs {
    unsigned refs;
    size_t count, cap;
    struct tls_pair **pairs;
    struct map *names;        /* "example.com" or "*.example.com" -> struct tls_name */
    struct tls_name nameless; /* of the default, should it have no name */
    const struct tls_name *fallback;
    size_t default_index;
    char *default_name; /* NULL: none was asked for */
};

struct tls_certs *tls_certs_new(void)
{
    struct tls_certs *certs = MEM_NEW(struct tls_certs);
    certs->refs = 1;
    certs->names = map_new();
    return certs;
}

struct tls_certs *tls_certs_ref(struct tls_certs *certs)
{
    certs->refs++;
    return certs;
}

static bool free_name(const void *key, size_t key_len, void *value, void *arg)
{
    (void)key, (void)key_len, (void)arg;
    free(value);
    return true;
}

void tls_certs_unref(struct tls_certs **certs)
{
    struct tls_certs *old = *certs;
    if (old == NULL) return;
    *certs = NULL;
    if (--old->refs > 0) return;
    map_each(old->names, free_name, NULL);
    map_free(&old->names);
    for (size_t i = 0; i < old->count; i++)
        tls_pair_unref(&old->pairs[i]);
    free(old->pairs);
    free(old->default_name);
    free(old);
}

static size_t kind_of(const struct tls_pair *pair)
{
    switch (EVP_PKEY_get_base_id(pair->key)) {
    case EVP_PKEY_EC:
        return 0;
    case EVP_PKEY_RSA:
        return 1;
    case EVP_PKEY_RSA_PSS:
        return 2;
    default: /* Ed25519, Ed448 */
        return 3;
    }
}

static const char *kind_name(const struct tls_pair *pair)
{
    static const char *const NAMES[TLS_CERTS_KINDS] = {"ecdsa", "rsa", "rsa-pss", "eddsa"};
    return NAMES[kind_of(pair)];
}

/* Calls fn for each name in its clean form. */
static void each_name(const struct tls_pair *pair, void (*fn)(const char *name, void *arg), void *arg)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(pair->leaf, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *general = sk_GENERAL_NAME_value(names, i);
        if (general->type != GEN_DNS) continue;
        const uint8_t *text = ASN1_STRING_get0_data(general->d.dNSName);
        size_t len = (size_t)ASN1_STRING_length(general->d.dNSName);
        size_t star = len > 2 && memcmp(text, "*.", 2) == 0 ? 2 : 0;
        char clean[2 + SERVER_NAME_BYTES] = "*.";
        if (server_name_clean(text + star, len - star, clean + 2) == SERVER_NAME_HOST)
            fn(star > 0 ? clean : clean + 2, arg);
    }
    GENERAL_NAMES_free(names);
}

struct adding {
    struct tls_certs *certs;
    struct tls_pair *pair;
};

static void add_name(const char *text, void *arg)
{
    struct adding *adding = arg;
    struct map *names = adding->certs->names;
    struct tls_name *name = map_get_str(names, text);
    if (name == NULL) {
        name = MEM_NEW(struct tls_name);
        map_set_str(names, text, name);
    }
    struct tls_pair **place = &name->pairs[kind_of(adding->pair)];
    if (*place == NULL) *place = adding->pair;
}

void tls_certs_add(struct tls_certs *certs, struct tls_pair *pair)
{
    struct adding adding = {.certs = certs, .pair = pair};
    if (certs->count == certs->cap) {
        certs->cap = certs->cap > 0 ? certs->cap * 2 : 4;
        certs->pairs = mem_realloc(certs->pairs, certs->cap * sizeof(struct tls_pair *));
    }
    certs->pairs[certs->count++] = tls_pair_ref(pair);
    each_name(pair, add_name, &adding);
}

size_t tls_certs_count(const struct tls_certs *certs)
{
    return certs->count;
}

struct tls_pair *tls_certs_at(const struct tls_certs *certs, size_t i)
{
    CHECK(i < certs->count);
    return certs->pairs[i];
}

static void take_first(const char *name, void *arg)
{
    struct tls_certs *certs = arg;
    if (certs->fallback == NULL) certs->fallback = map_get_str(certs->names, name);
}

void tls_certs_set_default(struct tls_certs *certs, const char *name, const struct tls_pair *pair)
{
    if (name != NULL && *name == '\0') name = NULL;
    free(certs->default_name);
    certs->default_name = mem_strdup(name);
    certs->default_index = 0;
    for (size_t i = 0; i < certs->count; i++)
        if (certs->pairs[i] == pair) certs->default_index = i;
    certs->fallback = name != NULL ? tls_certs_find(certs, name) : NULL;
    if (certs->fallback != NULL || pair == NULL) return;
    each_name(pair, take_first, certs);
    if (certs->fallback != NULL) return;
    certs->nameless.pairs[kind_of(pair)] = certs->pairs[certs->default_index];
    certs->fallback = &certs->nameless;
}

size_t tls_certs_default_index(const struct tls_certs *certs)
{
    return certs->default_index;
}

const char *tls_certs_default_name(const struct tls_certs *certs)
{
    return certs->default_name != NULL ? certs->default_name : "";
}

const struct tls_name *tls_certs_find(const struct tls_certs *certs, const char *name)
{
    const struct tls_name *found = map_get_str(certs->names, name);
    const char *rest = strchr(name, '.');
    if (found != NULL || rest == NULL || rest == name) return found;
    char wildcard[1 + SERVER_NAME_BYTES] = "*";
    size_t len = strlen(rest);
    if (len >= SERVER_NAME_BYTES) return NULL;
    memcpy(wildcard + 1, rest, len + 1);
    return map_get(certs->names, wildcard, len + 1);
}

const struct tls_name *tls_certs_default(const struct tls_certs *certs)
{
    return certs->fallback;
}

static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm tm;
    return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static void list_name(const char *name, void *arg)
{
    json_array_append_new(arg, json_string(name));
}

/* In ASCII, as RFC 4514 writes it. */
static char *issuer_text(X509 *leaf)
{
    BIO *bio = BIO_new(BIO_s_mem());
    CHECK(bio != NULL);
    X509_NAME_print_ex(bio, X509_get_issuer_name(leaf), 0, XN_FLAG_RFC2253);
    const char *text = NULL;
    long len = BIO_get_mem_data(bio, (char **)(uintptr_t)&text);
    char *copy = mem_strndup(len > 0 ? text : "", len > 0 ? (size_t)len : 0);
    BIO_free(bio);
    return copy;
}

static json_t *list_pair(const struct tls_pair *pair)
{
    json_t *names = json_array();
    each_name(pair, list_name, names);
    char *issuer = issuer_text(pair->leaf);
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(pair->leaf), NULL);
    char *serial = number != NULL ? BN_bn2hex(number) : NULL;
    int64_t from = seconds_of(X509_get0_notBefore(pair->leaf)), until = seconds_of(X509_get0_notAfter(pair->leaf));
    json_t *out =
        json_pack("{s:s, s:o, s:s, s:s, s:s, s:I, s:I, s:I}", "file", pair->file, "names", names, "issuer", issuer,
                  "serial", serial != NULL ? serial : "", "key", kind_name(pair), "not_before", (json_int_t)from,
                  "not_after", (json_int_t)until, "days_left", (json_int_t)((until - (int64_t)time(NULL)) / 86400));
    free(issuer);
    OPENSSL_free(serial);
    BN_free(number);
    return out;
}

json_t *tls_certs_list(const struct tls_certs *certs)
{
    json_t *list = json_array();
    for (size_t i = 0; i < certs->count; i++)
        json_array_append_new(list, list_pair(certs->pairs[i]));
    return list;
}
