#include "lib/pp2_ssl.h"

#include <string.h>

enum {
    PP2_SSL_FIXED_BYTES = 5, /* client, verify */
    PP2_SSL_SUB_HEADER_BYTES = 3,
};

/* Where the text of a sub type belongs; NULL: not one of ours. */
static struct pp2_text *place_of(struct pp2_ssl *ssl, uint8_t subtype)
{
    switch (subtype) {
    case PP2_SUBTYPE_SSL_VERSION:
        return &ssl->version;
    case PP2_SUBTYPE_SSL_CN:
        return &ssl->cn;
    case PP2_SUBTYPE_SSL_CIPHER:
        return &ssl->cipher;
    case PP2_SUBTYPE_SSL_SIG_ALG:
        return &ssl->sig_alg;
    case PP2_SUBTYPE_SSL_KEY_ALG:
        return &ssl->key_alg;
    default:
        return NULL;
    }
}

int pp2_ssl_decode(const uint8_t *value, size_t len, struct pp2_ssl *out, const char **why)
{
    memset(out, 0, sizeof(*out));
    *why = "an SSL TLV that is cut";
    if (len < PP2_SSL_FIXED_BYTES) return -1;
    out->client = value[0];
    out->verify = (uint32_t)value[1] << 24 | (uint32_t)value[2] << 16 | (uint32_t)value[3] << 8 | value[4];
    for (size_t at = PP2_SSL_FIXED_BYTES; at < len;) {
        if (len - at < PP2_SSL_SUB_HEADER_BYTES) return -1;
        const uint8_t *sub = value + at;
        const uint16_t sub_len = (uint16_t)(sub[1] << 8 | sub[2]);
        at += PP2_SSL_SUB_HEADER_BYTES;
        if (len - at < sub_len) return -1;
        at += sub_len;
        struct pp2_text *text = place_of(out, sub[0]);
        if (!text) continue;
        if (text->text) {
            *why = "an SSL TLV that says something twice";
            return -1;
        }
        *text = (struct pp2_text){(const char *)sub + PP2_SSL_SUB_HEADER_BYTES, sub_len};
    }
    return 0;
}

ssize_t pp2_ssl_encode(const struct pp2_ssl *ssl, uint8_t *out, size_t cap)
{
    if (cap < PP2_SSL_FIXED_BYTES) return -1;
    out[0] = ssl->client;
    for (size_t i = 0; i < 4; i++)
        out[1 + i] = (uint8_t)(ssl->verify >> (24 - 8 * i));
    size_t used = PP2_SSL_FIXED_BYTES;
    struct pp2_ssl copy = *ssl;
    for (unsigned subtype = PP2_SUBTYPE_SSL_VERSION; subtype <= PP2_SUBTYPE_SSL_KEY_ALG; subtype++) {
        const struct pp2_text *text = place_of(&copy, (uint8_t)subtype);
        if (!text->text) continue;
        if (cap - used < PP2_SSL_SUB_HEADER_BYTES + (size_t)text->len) return -1;
        out[used] = (uint8_t)subtype;
        out[used + 1] = (uint8_t)(text->len >> 8);
        out[used + 2] = (uint8_t)text->len;
        memcpy(out + used + PP2_SSL_SUB_HEADER_BYTES, text->text, text->len);
        used += PP2_SSL_SUB_HEADER_BYTES + (size_t)text->len;
    }
    return (ssize_t)used;
}

int pp2_chain_next(const uint8_t **at, size_t *left, const uint8_t **der, size_t *der_len)
{
    if (*left == 0) return 0;
    if (*left < PP2_CHAIN_LENGTH_BYTES) return -1;
    const uint8_t *p = *at;
    const size_t len = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
    if (len == 0 || *left - PP2_CHAIN_LENGTH_BYTES < len) return -1;
    *der = p + PP2_CHAIN_LENGTH_BYTES;
    *der_len = len;
    *at = *der + len;
    *left -= PP2_CHAIN_LENGTH_BYTES + len;
    return 1;
}

bool pp2_chain_append(uint8_t *out, size_t cap, size_t *used, const uint8_t *der, size_t der_len)
{
    if (der_len == 0 || der_len > PP2_CHAIN_CERTIFICATE_MAX) return false;
    if (cap - *used < PP2_CHAIN_LENGTH_BYTES || cap - *used - PP2_CHAIN_LENGTH_BYTES < der_len) return false;
    uint8_t *p = out + *used;
    p[0] = (uint8_t)(der_len >> 16);
    p[1] = (uint8_t)(der_len >> 8);
    p[2] = (uint8_t)der_len;
    memcpy(p + PP2_CHAIN_LENGTH_BYTES, der, der_len);
    *used += PP2_CHAIN_LENGTH_BYTES + der_len;
    return true;
}
