#include "backend/terminated.h"

#include "lib/mem.h"
#include "lib/pp2_ssl.h"
#include "lib/tls_ask.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

enum { END_POINT_MIN_BYTES = 28 }; /* of SHA-224; RFC 5929 section 4.1 replaces MD5 and SHA-1 */

/* One of a type at most: what a reader makes of two would depend on the reader. */
static bool is_told_once(const struct pp2 *pp)
{
    static const uint8_t types[] = {
        PP2_TLV_ALPN,          PP2_TLV_AUTHORITY,        PP2_TLV_UNIQUE_ID,
        PP2_TLV_SSL,           PP2_TLV_POSTERN_EXPORTER, PP2_TLV_POSTERN_END_POINT,
        PP2_TLV_POSTERN_CHAIN,
    };
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        unsigned count = 0;
        for (size_t k = 0; k < pp->tlv_count; k++)
            count += pp->tlvs[k].type == types[i];
        if (count > 1) return false;
    }
    return true;
}

static bool copy_text(char *out, size_t cap, struct pp2_text text)
{
    if (text.len >= cap) return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.text[i] <= ' ' || text.text[i] > '~') return false;
    if (text.len) memcpy(out, text.text, text.len);
    out[text.len] = '\0';
    return true;
}

/* Below TLS 1.2, which our own handshakes refuse. */
static bool is_old(const char *version)
{
    return strncmp(version, "SSL", 3) == 0 || strcmp(version, "TLSv1") == 0 || strcmp(version, "TLSv1.0") == 0 ||
           strcmp(version, "TLSv1.1") == 0;
}

static const char *read_ssl(struct terminated *t, const struct pp2 *pp, bool *has_certificate)
{
    const struct pp2_tlv *tlv = pp2_find(pp, PP2_TLV_SSL);
    const char *why = NULL;
    struct pp2_ssl ssl;
    if (!tlv) return "the client does not use TLS";
    if (pp2_ssl_decode(tlv->value, tlv->len, &ssl, &why) != 0) return why;
    if (!(ssl.client & PP2_CLIENT_SSL)) return "the client does not use TLS";
    if (!copy_text(t->version, sizeof(t->version), ssl.version) || !copy_text(t->cipher, sizeof(t->cipher), ssl.cipher))
        return "a TLS version or cipher that is none";
    if (is_old(t->version)) return "the client uses a TLS below 1.2";
    *has_certificate = ssl.client & (PP2_CLIENT_CERT_CONN | PP2_CLIENT_CERT_SESS);
    t->verified = *has_certificate && ssl.verify == 0;
    return NULL;
}

static const char *read_bindings(struct terminated *t, const struct pp2 *pp)
{
    const struct pp2_tlv *exporter = pp2_find(pp, PP2_TLV_POSTERN_EXPORTER);
    const struct pp2_tlv *end_point = pp2_find(pp, PP2_TLV_POSTERN_END_POINT);
    if (exporter) {
        if (exporter->len != TLS_EXPORTER_BYTES) return "a tls-exporter value of a wrong length";
        memcpy(t->exporter, exporter->value, TLS_EXPORTER_BYTES);
        t->has_exporter = true;
    }
    if (end_point) {
        if (end_point->len < END_POINT_MIN_BYTES || end_point->len > TLS_END_POINT_MAX_BYTES)
            return "a tls-server-end-point value of a wrong length";
        memcpy(t->end_point, end_point->value, end_point->len);
        t->end_point_len = end_point->len;
    }
    return NULL;
}

/* A certificate that is exactly these bytes. */
static X509 *decode_certificate(const uint8_t *der, size_t len)
{
    const uint8_t *at = der;
    X509 *cert = d2i_X509(NULL, &at, (long)len);
    if (cert && at != der + len) {
        X509_free(cert);
        cert = NULL;
    }
    ERR_clear_error();
    return cert;
}

static const char *read_chain(struct terminated *t, const struct pp2 *pp, bool has_certificate)
{
    const struct pp2_tlv *tlv = pp2_find(pp, PP2_TLV_POSTERN_CHAIN);
    if (!tlv) return NULL;
    if (!has_certificate) return "a chain of a client without a certificate";
    const uint8_t *at = tlv->value, *der = NULL;
    size_t left = tlv->len, der_len = 0;
    int more = 0;
    t->chain = sk_X509_new_null();
    CHECK(t->chain != NULL);
    while ((more = pp2_chain_next(&at, &left, &der, &der_len)) == 1) {
        X509 *cert = sk_X509_num(t->chain) < TLS_ASK_CHAIN_MAX ? decode_certificate(der, der_len) : NULL;
        if (!cert) return "a chain that is too long, or has something else than certificates";
        CHECK(sk_X509_push(t->chain, cert) > 0);
    }
    return more == 0 && sk_X509_num(t->chain) > 0 ? NULL : "a chain that is cut";
}

static const char *read_alpn(struct terminated *t, const struct pp2 *pp)
{
    const struct pp2_tlv *tlv = pp2_find(pp, PP2_TLV_ALPN);
    if (!tlv || tlv->len == 0) return NULL;
    if (tlv->len > sizeof(t->alpn)) return "an ALPN name that is too long";
    memcpy(t->alpn, tlv->value, tlv->len);
    t->alpn_len = tlv->len;
    return NULL;
}

struct terminated *terminated_read(const struct pp2 *pp, const char **why)
{
    struct terminated *t = MEM_NEW(struct terminated);
    bool has_certificate = false;
    *why = is_told_once(pp) ? NULL : "a TLV twice";
    if (!*why) *why = read_ssl(t, pp, &has_certificate);
    if (!*why) *why = read_alpn(t, pp);
    if (!*why) *why = read_bindings(t, pp);
    if (!*why) *why = read_chain(t, pp, has_certificate);
    if (*why) terminated_free(&t);
    return t;
}

void terminated_forget(struct terminated *t)
{
    t->has_exporter = t->verified = false;
    t->end_point_len = 0;
    mem_wipe(t->exporter, sizeof(t->exporter));
    sk_X509_pop_free(t->chain, X509_free);
    t->chain = NULL;
}

void terminated_free(struct terminated **terminated)
{
    if (!*terminated) return;
    terminated_forget(*terminated);
    free(*terminated);
    *terminated = NULL;
}
