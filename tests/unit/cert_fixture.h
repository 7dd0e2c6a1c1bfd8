/* cert_fixture - self-signed certificates made on the spot, in a folder that is gone when the test ends. */
#ifndef POSTERN_TESTS_UNIT_CERT_FIXTURE_H
#define POSTERN_TESTS_UNIT_CERT_FIXTURE_H

#include "lib/check.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct cert_fixture {
    char folder[64], cert[96], key[96];
};

static inline EVP_PKEY *cert_fixture_make_key(const char *kind)
{
    EVP_PKEY *key = strcmp(kind, "RSA") == 0  ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048)
                    : strcmp(kind, "EC") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256")
                                              : EVP_PKEY_Q_keygen(NULL, NULL, kind);
    CHECK(key != NULL);
    return key;
}

/* kind: "RSA", "EC" or "ED25519"; digest: NULL for the latter. */
static inline void cert_fixture_make(struct cert_fixture *f, const char *kind, const EVP_MD *digest, const char *name)
{
    snprintf(f->folder, sizeof f->folder, "/tmp/postern-cert-XXXXXX");
    CHECK(mkdtemp(f->folder) != NULL);
    snprintf(f->cert, sizeof f->cert, "%s/cert.pem", f->folder);
    snprintf(f->key, sizeof f->key, "%s/key.pem", f->folder);

    EVP_PKEY *key = cert_fixture_make_key(kind);
    X509 *cert = X509_new();
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    CHECK(X509_sign(cert, key, digest) > 0);

    FILE *file = fopen(f->cert, "w");
    CHECK(file && PEM_write_X509(file, cert) == 1 && fclose(file) == 0);
    file = fopen(f->key, "w");
    CHECK(file && fchmod(fileno(file), 0600) == 0);
    CHECK(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1 && fclose(file) == 0);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static inline void cert_fixture_drop(struct cert_fixture *f)
{
    unlink(f->cert);
    unlink(f->key);
    rmdir(f->folder);
}

#endif
