#include "gateway/prefix_tls.h"

#include "gateway/tls_service.h"

#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_BYTES = 200 }; /* the most that pp2_ssl has room for in each text */

static void add_tlv(struct pp2 *pp, enum pp2_tlv_type type, const void *value, size_t len)
{
    if (len == 0) return;
    CHECK(pp->tlv_count < PP2_TLVS_MAX && len <= UINT16_MAX);
    pp->tlvs[pp->tlv_count++] = (struct pp2_tlv){.type = (uint8_t)type, .len = (uint16_t)len, .value = value};
}

static struct pp2_text text_of(const char *text)
{
    size_t len = text != NULL ? strlen(text) : 0;
    if (len == 0 || len > TEXT_BYTES) return (struct pp2_text){NULL, 0};
    return (struct pp2_text){text, (uint16_t)len};
}

/* The common name in UTF-8, or nothing when there is none that could be printed whole. */
static struct pp2_text common_name(const X509 *cert, char out[TEXT_BYTES])
{
    const struct pp2_text none = {NULL, 0};
    const X509_NAME *subject = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0) return none;
    unsigned char *utf8 = NULL;
    int len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    bool good = len > 0 && len <= TEXT_BYTES;
    for (int i = 0; good && i < len; i++)
        good = utf8[i] >= ' ' && utf8[i] != 0x7f;
    if (good) memcpy(out, utf8, (size_t)len);
    OPENSSL_free(utf8);
    return good ? (struct pp2_text){out, (uint16_t)len} : none;
}

/* "RSA2048", "EC256", "ED25519". */
static void key_kind(const X509 *cert, char out[64])
{
    const EVP_PKEY *key = X509_get0_pubkey(cert);
    const char *name = key != NULL ? EVP_PKEY_get0_type_name(key) : NULL;
    out[0] = '\0';
    if (name == NULL) return;
    if (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "EC"))
        snprintf(out, 64, "%s%d", name, EVP_PKEY_get_bits(key));
    else
        snprintf(out, 64, "%s", name);
}

static void add_ssl(struct prefix_tls *out, SSL *ssl, struct pp2 *pp)
{
    char cn[TEXT_BYTES], key_alg[64] = "";
    const X509 *mine = SSL_get_certificate(ssl), *theirs = SSL_get0_peer_certificate(ssl);
    struct pp2_ssl said = {
        .client = PP2_CLIENT_SSL,
        .verify = tls_service_verified(ssl) == TLS_VERIFIED_GOOD ? 0 : 1,
        .version = text_of(SSL_get_version(ssl)),
        .cipher = text_of(SSL_get_cipher_name(ssl)),
    };
    if (theirs != NULL) {
        said.client |= PP2_CLIENT_CERT_SESS | (SSL_session_reused(ssl) ? 0 : PP2_CLIENT_CERT_CONN);
        said.cn = common_name(theirs, cn);
    }
    if (mine != NULL) {
        key_kind(mine, key_alg);
        said.sig_alg = text_of(OBJ_nid2sn(X509_get_signature_nid(mine)));
        said.key_alg = text_of(key_alg);
    }
    ssize_t len = pp2_ssl_encode(&said, out->ssl, sizeof(out->ssl));
    CHECK(len > 0);
    add_tlv(pp, PP2_TLV_SSL, out->ssl, (size_t)len);
}

static bool append(struct prefix_tls *out, size_t *used, X509 *cert)
{
    unsigned char *der = NULL;
    int len = i2d_X509(cert, &der);
    bool fits = len > 0 && pp2_chain_append(out->chain, sizeof(out->chain), used, der, (size_t)len);
    OPENSSL_free(der);
    return fits;
}

static bool add_chain(struct prefix_tls *out, const SSL *ssl, struct pp2 *pp)
{
    X509 *leaf = SSL_get0_peer_certificate(ssl);
    const STACK_OF(X509) *others = SSL_get_peer_cert_chain(ssl);
    size_t used = 0;
    if (leaf == NULL) return true;
    if (!append(out, &used, leaf)) return false;
    for (int i = 0; others != NULL && i < sk_X509_num(others); i++) {
        X509 *cert = sk_X509_value(others, i);
        /* A server's chain has no leaf; where there is one, it is told already. */
        if (i == 0 && X509_cmp(cert, leaf) == 0) continue;
        if (!append(out, &used, cert)) return false;
    }
    add_tlv(pp, PP2_TLV_POSTERN_CHAIN, out->chain, used);
    return true;
}

bool prefix_tls_add(struct prefix_tls *out, SSL *ssl, struct pp2 *pp)
{
    const unsigned char *alpn = NULL;
    unsigned alpn_len = 0;
    SSL_get0_alpn_selected(ssl, &alpn, &alpn_len);
    add_tlv(pp, PP2_TLV_ALPN, alpn, alpn_len);
    add_ssl(out, ssl, pp);
    if (tls_exporter(ssl, out->exporter)) add_tlv(pp, PP2_TLV_POSTERN_EXPORTER, out->exporter, sizeof(out->exporter));
    add_tlv(pp, PP2_TLV_POSTERN_END_POINT, out->end_point, tls_service_end_point(ssl, out->end_point));
    return add_chain(out, ssl, pp);
}
