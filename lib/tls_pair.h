/* tls_pair - a certificate with its chain and private key, read from PEM files. */
#ifndef POSTERN_LIB_TLS_PAIR_H
#define POSTERN_LIB_TLS_PAIR_H

#include "lib/check.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TLS_PAIR_ID_BYTES = 32 };

/* Shared by reference; only one thread may hold one. */
struct tls_pair {
    unsigned refs;
    uint8_t id[TLS_PAIR_ID_BYTES]; /* SHA-256 over the key and the certificates: equal for what is the same */
    char *file;                    /* where the certificate was read */
    X509 *leaf;
    STACK_OF(X509) * chain; /* without the leaf; NULL: none */
    EVP_PKEY *key;
};

/* tls_pair_read - cert_path has the leaf first, then its chain.  key_path NULL: the key stands in cert_path, else in
 * tls_pair_key_path.  NULL and a message in why, which begins with the file at fault: not readable, no certificate, no
 * key or an encrypted one, certificate and key differ, key file open to others.  Free with tls_pair_unref. */
MUSTCHECK struct tls_pair *tls_pair_read(const char *cert_path, const char *key_path, char *why, size_t cap);

/* tls_pair_from_parts - takes leaf, chain and key, whatever comes of it; file is copied.  NULL when key and leaf
 * differ. */
MUSTCHECK struct tls_pair *tls_pair_from_parts(const char *file, X509 *leaf, STACK_OF(X509) * chain, EVP_PKEY *key);

/* tls_pair_has_key - whether there is a private key in a file, encrypted or not; false as well when it cannot be read.
 */
MUSTCHECK bool tls_pair_has_key(const char *cert_path);

struct tls_pair *tls_pair_ref(struct tls_pair *pair);
void tls_pair_unref(struct tls_pair **pair);

/* tls_pair_key_path - the file beside a certificate that has its key: FILE.key, FILE with its ending replaced by .key,
 * or privkey.pem in the same folder; the first that exists.  free() it; NULL: none. */
MUSTCHECK char *tls_pair_key_path(const char *cert_path);

#endif
