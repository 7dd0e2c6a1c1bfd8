#include "backend/dane.h"

#include "lib/check.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

enum { SELECT_CERTIFICATE, SELECT_KEY };
enum { MATCH_FULL, MATCH_SHA256, MATCH_SHA512 };
enum { SHA256_BYTES = 32, SHA512_BYTES = 64 };

X509 *dane_certificate(const struct dialer_tlsa *record)
{
    const unsigned char *at = record->data;
    if (record->selector != SELECT_CERTIFICATE || record->matching != MATCH_FULL) return NULL;
    X509 *cert = d2i_X509(NULL, &at, (long)record->len);
    if (cert && at != record->data + record->len) {
        X509_free(cert);
        cert = NULL;
    }
    ERR_clear_error();
    return cert;
}

static bool is_key(const struct dialer_tlsa *record)
{
    const unsigned char *at = record->data;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)record->len);
    const bool good = key && at == record->data + record->len;
    EVP_PKEY_free(key);
    ERR_clear_error();
    return good;
}

static bool is_well_formed(const struct dialer_tlsa *record)
{
    if (record->usage > DANE_EE || record->selector > SELECT_KEY) return false;
    switch (record->matching) {
    case MATCH_SHA256:
        return record->len == SHA256_BYTES;
    case MATCH_SHA512:
        return record->len == SHA512_BYTES;
    case MATCH_FULL:
        break;
    default:
        return false;
    }
    if (record->selector == SELECT_KEY) return is_key(record);
    X509 *cert = dane_certificate(record);
    X509_free(cert);
    return cert != NULL;
}

bool dane_is_usable(const struct dialer_tlsa *records, size_t count, size_t i)
{
    const struct dialer_tlsa *record = &records[i];
    if (!is_well_formed(record)) return false;
    if (record->matching != MATCH_SHA256) return true;
    for (size_t k = 0; k < count; k++) {
        const struct dialer_tlsa *other = &records[k];
        if (other->usage == record->usage && other->selector == record->selector && other->matching == MATCH_SHA512 &&
            other->len == SHA512_BYTES)
            return false;
    }
    return true;
}

static bool has_data(const struct dialer_tlsa *record, const void *data, size_t len)
{
    return record->len == len && CRYPTO_memcmp(record->data, data, len) == 0;
}

bool dane_matches(const struct dialer_tlsa *record, X509 *cert)
{
    unsigned char *der = NULL, digest[EVP_MAX_MD_SIZE];
    unsigned digest_len = 0;
    const int len =
        record->selector == SELECT_KEY ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der) : i2d_X509(cert, &der);
    bool same = false;
    if (len > 0 && record->matching == MATCH_FULL) {
        same = has_data(record, der, (size_t)len);
    } else if (len > 0) {
        const EVP_MD *md = record->matching == MATCH_SHA512 ? EVP_sha512() : EVP_sha256();
        same = EVP_Digest(der, (size_t)len, digest, &digest_len, md, NULL) == 1 && has_data(record, digest, digest_len);
    }
    OPENSSL_free(der);
    ERR_clear_error();
    return same;
}
