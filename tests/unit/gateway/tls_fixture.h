/* tls_fixture - certificates made on the spot in a folder that is gone when the test ends. */
#ifndef POSTERN_TESTS_UNIT_GATEWAY_TLS_FIXTURE_H
#define POSTERN_TESTS_UNIT_GATEWAY_TLS_FIXTURE_H

#include "lib/check.h"
#include "lib/mem.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct tls_fixture {
    char folder[64];
};

static inline void tls_fixture_open(struct tls_fixture *f)
{
    snprintf(f->folder, sizeof(f->folder), "/tmp/postern-tls-XXXXXX");
    CHECK(mkdtemp(f->folder) != NULL);
}

static inline void tls_fixture_drop(struct tls_fixture *f)
{
    char command[96];
    snprintf(command, sizeof(command), "rm -rf '%s'", f->folder);
    CHECK(system(command) == 0);
}

/* The path of a file in the folder; of eight results the first is overwritten by the ninth. */
static inline char *tls_fixture_path(const struct tls_fixture *f, const char *name)
{
    static char paths[8][256];
    static unsigned next;
    char *out = paths[next++ % 8];
    snprintf(out, sizeof(paths[0]), "%s/%s", f->folder, name);
    return out;
}

/* What a certificate is like; zeros are sensible. */
struct tls_recipe {
    const char *kind;  /* "EC" (or NULL), "RSA", "ED25519" */
    const char *names; /* "DNS:a.test,DNS:*.b.test"; NULL: no subjectAltName */
    const char *cn;
    long from_s, until_s; /* from now on; 0: an hour ago, in a day */
    long serial;
    const char *usage; /* extendedKeyUsage */
    X509 *issuer;      /* NULL: self-signed */
    EVP_PKEY *issuer_key;
};

static inline void tls_fixture_extend(X509 *cert, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    CHECK(extension != NULL && X509_add_ext(cert, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static inline EVP_PKEY *tls_fixture_key(const char *kind)
{
    EVP_PKEY *key = kind == NULL || strcmp(kind, "EC") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256")
                    : strcmp(kind, "RSA") == 0              ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048)
                                                            : EVP_PKEY_Q_keygen(NULL, NULL, kind);
    CHECK(key != NULL);
    return key;
}

static inline X509 *tls_fixture_cert(const struct tls_recipe *recipe, EVP_PKEY *key)
{
    X509 *cert = X509_new();
    bool ed = recipe->kind != NULL && strcmp(recipe->kind, "ED25519") == 0;
    const char *cn = recipe->cn != NULL ? recipe->cn : "test";
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), recipe->serial != 0 ? recipe->serial : 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), recipe->from_s != 0 ? recipe->from_s : -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), recipe->until_s != 0 ? recipe->until_s : 86400);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(recipe->issuer != NULL ? recipe->issuer : cert));
    if (recipe->names != NULL) tls_fixture_extend(cert, NID_subject_alt_name, recipe->names);
    if (recipe->usage != NULL) tls_fixture_extend(cert, NID_ext_key_usage, recipe->usage);
    if (recipe->issuer == NULL) tls_fixture_extend(cert, NID_basic_constraints, "critical,CA:TRUE");
    EVP_PKEY *signer = recipe->issuer_key != NULL ? recipe->issuer_key : key;
    CHECK(X509_sign(cert, signer, ed ? NULL : EVP_sha256()) > 0);
    return cert;
}

static inline FILE *tls_fixture_create(const struct tls_fixture *f, const char *name)
{
    char *path = tls_fixture_path(f, name);
    for (char *slash = strchr(path + strlen(f->folder) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)!mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fchmod(fileno(file), 0600) == 0);
    return file;
}

/* Write a certificate and its key; key_name NULL: into the same file. */
static inline void tls_fixture_make(const struct tls_fixture *f, const char *cert_name, const char *key_name,
                                    const struct tls_recipe *recipe)
{
    EVP_PKEY *key = tls_fixture_key(recipe->kind);
    X509 *cert = tls_fixture_cert(recipe, key);
    FILE *file = tls_fixture_create(f, cert_name);
    CHECK(PEM_write_X509(file, cert) == 1);
    if (recipe->issuer != NULL) CHECK(PEM_write_X509(file, recipe->issuer) == 1);
    if (key_name != NULL) {
        CHECK(fclose(file) == 0);
        file = tls_fixture_create(f, key_name);
    }
    CHECK(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1 && fclose(file) == 0);
    X509_free(cert);
    EVP_PKEY_free(key);
}

#endif
