#include "lib/pp2.h"
#include "lib/pp2_ssl.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is said about TLS comes back the same when it is encoded again, but for unknown sub TLVs. */
static void check_ssl(const struct pp2_tlv *tlv)
{
    static uint8_t again[UINT16_MAX];
    struct pp2_ssl ssl, back;
    const char *why = NULL;
    if (pp2_ssl_decode(tlv->value, tlv->len, &ssl, &why) != 0) return;
    const ssize_t n = pp2_ssl_encode(&ssl, again, sizeof(again));
    CHECK(n >= 0 && n <= tlv->len);
    CHECK(pp2_ssl_decode(again, (size_t)n, &back, &why) == 0);
    CHECK(back.client == ssl.client && back.verify == ssl.verify);
    CHECK(back.version.len == ssl.version.len && back.cn.len == ssl.cn.len && back.cipher.len == ssl.cipher.len);
}

static void check_chain(const struct pp2_tlv *tlv)
{
    static uint8_t again[UINT16_MAX];
    const uint8_t *at = tlv->value, *der = NULL;
    size_t left = tlv->len, der_len = 0, used = 0;
    while (pp2_chain_next(&at, &left, &der, &der_len) == 1)
        CHECK(pp2_chain_append(again, sizeof(again), &used, der, der_len));
    CHECK(used + left == tlv->len && memcmp(again, tlv->value, used) == 0);
}

/* Whatever is accepted lies inside the input, does not depend on what follows it, asked for more at every shorter
 * length, and comes back the same when it is encoded again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t again[PP2_MAX_BYTES];
    struct pp2 pp, back;
    const char *why = NULL;
    ssize_t n = pp2_decode(data, size, &pp, &why);
    if (n < 0) {
        CHECK(why != NULL);
        return 0;
    }
    if (n == 0) {
        CHECK(size < PP2_MAX_BYTES);
        return 0;
    }
    CHECK((size_t)n <= size && pp.tlv_count <= PP2_TLVS_MAX);
    for (size_t i = 0; i < pp.tlv_count; i++)
        CHECK(pp.tlvs[i].value >= data && pp.tlvs[i].value + pp.tlvs[i].len <= data + n);
    for (size_t i = 0; i < pp.tlv_count; i++) {
        if (pp.tlvs[i].type == PP2_TLV_SSL) check_ssl(&pp.tlvs[i]);
        if (pp.tlvs[i].type == PP2_TLV_POSTERN_CHAIN) check_chain(&pp.tlvs[i]);
    }
    for (ssize_t cut = 0; cut < n && cut < 300; cut++)
        CHECK(pp2_decode(data, (size_t)cut, &back, &why) == 0);
    ssize_t m = pp2_encode(&pp, again, sizeof(again));
    if (m < 0) return 0; /* mixed families written as IPv6 may pass the limit */
    CHECK(pp2_decode(again, (size_t)m, &back, &why) == m);
    CHECK(back.local == pp.local && back.tlv_count == pp.tlv_count);
    CHECK(addr_equal(&back.src, &pp.src) && addr_equal(&back.dst, &pp.dst));
    for (size_t i = 0; i < pp.tlv_count; i++)
        CHECK(back.tlvs[i].type == pp.tlvs[i].type && back.tlvs[i].len == pp.tlvs[i].len);
    char line[PP1_MAX_BYTES];
    size_t line_len = pp1_encode(&pp, line);
    CHECK(line_len == strlen(line));
    CHECK(pp1_decode((const uint8_t *)line, line_len, &back, &why) == (ssize_t)line_len);
    return 0;
}
