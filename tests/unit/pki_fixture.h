/* pki_fixture - authorities and certificates of every kind, made on the spot. */
#ifndef POSTERN_TESTS_UNIT_PKI_FIXTURE_H
#define POSTERN_TESTS_UNIT_PKI_FIXTURE_H

#include "lib/check.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

struct pki_cert {
    X509 *cert;
    EVP_PKEY *key;
};

/* Extensions are written as in OpenSSL's configuration; NULL: none. */
struct pki_spec {
    const char *name; /* the subject's common name */
    const char *alt, *use, *key_use, *basic;
    const char *key;        /* "EC" when NULL; "RSA1024", "DSA" */
    int from_days, to_days; /* from now; 0, 0: valid since yesterday, until tomorrow */
};

static long pki_serial = 1;

static inline EVP_PKEY *pki_key(const char *kind)
{
    EVP_PKEY *key = NULL, *params = NULL;
    if (kind && strcmp(kind, "RSA1024") == 0) return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
    if (!kind || strcmp(kind, "DSA") != 0) return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_DSA, NULL);
    CHECK(EVP_PKEY_paramgen_init(ctx) == 1 && EVP_PKEY_CTX_set_dsa_paramgen_bits(ctx, 1024) == 1 &&
          EVP_PKEY_paramgen(ctx, &params) == 1);
    EVP_PKEY_CTX_free(ctx);
    ctx = EVP_PKEY_CTX_new(params, NULL);
    CHECK(EVP_PKEY_keygen_init(ctx) == 1 && EVP_PKEY_keygen(ctx, &key) == 1);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(params);
    return key;
}

static inline void pki_extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    if (!value) return;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509V3_set_ctx_nodb(&ctx);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    CHECK(extension != NULL && X509_add_ext(cert, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

/* Without a signature, so that more can be added. */
static inline struct pki_cert pki_draft(const struct pki_spec *spec, const struct pki_cert *issuer)
{
    struct pki_cert made = {.cert = X509_new(), .key = pki_key(spec->key)};
    const bool always = spec->from_days == 0 && spec->to_days == 0;
    CHECK(made.cert != NULL && made.key != NULL);
    X509_set_version(made.cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.cert), pki_serial++);
    X509_time_adj_ex(X509_getm_notBefore(made.cert), always ? -1 : spec->from_days, 0, NULL);
    X509_time_adj_ex(X509_getm_notAfter(made.cert), always ? 1 : spec->to_days, 0, NULL);
    X509_set_pubkey(made.cert, made.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made.cert), "CN", MBSTRING_ASC, (const unsigned char *)spec->name,
                               -1, -1, 0);
    X509 *by = issuer ? issuer->cert : made.cert;
    X509_set_issuer_name(made.cert, X509_get_subject_name(by));
    pki_extend(made.cert, by, NID_subject_alt_name, spec->alt);
    pki_extend(made.cert, by, NID_ext_key_usage, spec->use);
    pki_extend(made.cert, by, NID_key_usage, spec->key_use);
    pki_extend(made.cert, by, NID_basic_constraints, spec->basic);
    return made;
}

static inline struct pki_cert pki_make(const struct pki_spec *spec, const struct pki_cert *issuer)
{
    struct pki_cert made = pki_draft(spec, issuer);
    CHECK(X509_sign(made.cert, issuer ? issuer->key : made.key, EVP_sha256()) > 0);
    return made;
}

static inline void pki_drop(struct pki_cert *cert)
{
    X509_free(cert->cert);
    EVP_PKEY_free(cert->key);
    *cert = (struct pki_cert){0};
}

/* The certificates, in that order, each with a reference; NULL ones are left out. */
static inline STACK_OF(X509) * pki_chain(const struct pki_cert *const *certs, size_t count)
{
    STACK_OF(X509) *chain = sk_X509_new_null();
    for (size_t i = 0; i < count; i++) {
        if (!certs[i]) continue;
        CHECK(X509_up_ref(certs[i]->cert) == 1 && sk_X509_push(chain, certs[i]->cert) > 0);
    }
    return chain;
}

static inline void pki_write(const char *path, const struct pki_cert *const *certs, size_t count)
{
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    for (size_t i = 0; i < count; i++)
        CHECK(PEM_write_X509(file, certs[i]->cert) == 1);
    CHECK(fclose(file) == 0);
}

/* A list of the issuer's that revokes one certificate (NULL: none); next_days: until when it is good, from now. */
static inline void pki_write_list(const char *path, const struct pki_cert *issuer, const struct pki_cert *revoked,
                                  int next_days)
{
    X509_CRL *list = X509_CRL_new();
    ASN1_TIME *now = ASN1_TIME_new();
    X509_CRL_set_version(list, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(list, X509_get_subject_name(issuer->cert));
    X509_time_adj_ex(now, -9, 0, NULL);
    X509_CRL_set1_lastUpdate(list, now);
    if (revoked) {
        X509_REVOKED *entry = X509_REVOKED_new();
        X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked->cert));
        X509_REVOKED_set_revocationDate(entry, now);
        CHECK(X509_CRL_add0_revoked(list, entry) == 1);
    }
    X509_time_adj_ex(now, next_days, 0, NULL);
    X509_CRL_set1_nextUpdate(list, now);
    CHECK(X509_CRL_sign(list, issuer->key, EVP_sha256()) > 0);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && PEM_write_X509_CRL(file, list) == 1 && fclose(file) == 0);
    ASN1_TIME_free(now);
    X509_CRL_free(list);
}

#endif
