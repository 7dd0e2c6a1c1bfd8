#include "lib/pp2.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
/* A header written out by hand; len counts what stands behind its first 16 bytes. */
#define HEADER(rest) (const uint8_t *)(SIGNATURE rest), sizeof(SIGNATURE rest) - 1
#define TCP4_ADDRESSES                                                                                                 \
    "\xc0\x00\x02\x01"                                                                                                 \
    "\xc6\x33\x64\x02"                                                                                                 \
    "\x12\x34\x01\xbb"

static struct addr addr_of(const char *text)
{
    struct endpoint e;
    const char *why;
    assert_int_equal(endpoint_parse(text, &e, &why), 0);
    return e.ip;
}

static void assert_addr(const struct addr *a, const char *expected)
{
    char out[ADDR_TEXT_BYTES];
    assert_string_equal(addr_format(a, ADDR_FULL, out, sizeof(out)), expected);
}

/* Decode from a block of exactly that length, so that reading too far is seen. */
static ssize_t decode(const uint8_t *header, size_t len, struct pp2 *out)
{
    const char *why = NULL;
    uint8_t *exact = malloc(len ? len : 1);
    assert_non_null(exact);
    if (len) memcpy(exact, header, len);
    ssize_t n = pp2_decode(exact, len, out, &why);
    if (n < 0) assert_non_null(why);
    for (size_t i = 0; i < out->tlv_count; i++) /* they borrow from exact: point them at the original */
        out->tlvs[i].value = header + (out->tlvs[i].value - exact);
    free(exact);
    return n;
}

static void assert_malformed(const uint8_t *header, size_t len)
{
    struct pp2 pp;
    assert_int_equal(decode(header, len, &pp), -1);
}

/* Every prefix of a valid header asks for more, and what follows a header changes nothing. */
static void assert_splits(const uint8_t *header, size_t len)
{
    struct pp2 pp;
    uint8_t *longer = malloc(len + 100);
    assert_non_null(longer);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(decode(header, cut, &pp), 0);
    assert_int_equal(decode(header, len, &pp), len);
    memcpy(longer, header, len);
    memset(longer + len, 0x5a, 100);
    assert_int_equal(decode(longer, len + 100, &pp), len);
    free(longer);
}

static void test_tcp4(void **state)
{
    (void)state;
    struct pp2 pp;
    const uint8_t *header = (const uint8_t *)SIGNATURE "\x21\x11\x00\x0c" TCP4_ADDRESSES;
    assert_int_equal(decode(header, 28, &pp), 28);
    assert_false(pp.local);
    assert_addr(&pp.src, "192.0.2.1:4660");
    assert_addr(&pp.dst, "198.51.100.2:443");
    assert_int_equal(pp.tlv_count, 0);
    assert_splits(header, 28);
}

static void test_tlvs(void **state)
{
    (void)state;
    struct pp2 pp;
    const uint8_t *header = (const uint8_t *)SIGNATURE "\x21\x11\x00\x1f" TCP4_ADDRESSES "\x01\x00\x02h2"
                                                       "\x04\x00\x01\x00"
                                                       "\xe7\x00\x00"
                                                       "\xe7\x00\x04last";
    assert_int_equal(decode(header, 47, &pp), 47);
    assert_int_equal(pp.tlv_count, 3);
    const struct pp2_tlv *alpn = pp2_find(&pp, PP2_TLV_ALPN);
    assert_non_null(alpn);
    assert_int_equal(alpn->len, 2);
    assert_memory_equal(alpn->value, "h2", 2);
    const struct pp2_tlv *own = pp2_find(&pp, 0xe7);
    assert_ptr_equal(own, &pp.tlvs[1]);
    assert_int_equal(own->len, 0);
    assert_int_equal(pp.tlvs[2].len, 4);
    assert_null(pp2_find(&pp, PP2_TLV_NOOP));
    assert_null(pp2_find(&pp, PP2_TLV_AUTHORITY));
    assert_splits(header, 47);
}

static void test_without_addresses(void **state)
{
    (void)state;
    struct pp2 pp;
    const uint8_t *unspec = (const uint8_t *)SIGNATURE "\x21\x00\x00\x05\x01\x00\x02h2";
    assert_int_equal(decode(unspec, 21, &pp), 21);
    assert_false(pp.local);
    assert_int_equal(pp.src.sa.sa_family, AF_UNSPEC);
    assert_int_equal(pp.tlv_count, 1);
    assert_splits(unspec, 21);

    static const uint8_t authority[] = {PP2_TLV_AUTHORITY, 0, 2, 'h', 'i'};
    uint8_t un[16 + 216 + 5] = SIGNATURE "\x21\x31\x00\xdd";
    memcpy(un + 16 + 216, authority, sizeof(authority));
    assert_int_equal(decode(un, sizeof(un), &pp), sizeof(un));
    assert_int_equal(pp.src.sa.sa_family, AF_UNSPEC);
    assert_memory_equal(pp2_find(&pp, PP2_TLV_AUTHORITY)->value, "hi", 2);
    assert_splits(un, sizeof(un));
    un[15] = 215;
    assert_malformed(un, sizeof(un));
}

/* All that a LOCAL header carries is skipped, even what would be malformed elsewhere. */
static void test_local(void **state)
{
    (void)state;
    static const char *const headers[] = {
        SIGNATURE "\x20\x00\x00\x00",
        SIGNATURE "\x20\x00\x00\x05garba",
        SIGNATURE "\x20\x11\x00\x03\xff\xff\xff",
        SIGNATURE "\x20\xee\x00\x01x",
    };
    static const size_t lens[] = {16, 21, 19, 17};
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        struct pp2 pp;
        assert_int_equal(decode((const uint8_t *)headers[i], lens[i], &pp), lens[i]);
        assert_true(pp.local);
        assert_int_equal(pp.tlv_count, 0);
        assert_int_equal(pp.src.sa.sa_family, AF_UNSPEC);
        assert_splits((const uint8_t *)headers[i], lens[i]);
    }
}

/* A prefix that cannot become a header is refused at its first wrong byte. */
static void test_refused_at_once(void **state)
{
    (void)state;
    uint8_t start[12] = SIGNATURE;
    for (size_t i = 0; i < sizeof(start); i++) {
        start[i] ^= 0x01;
        assert_malformed(start, i + 1);
        start[i] ^= 0x01;
    }
    assert_malformed((const uint8_t *)"GET / HTTP/1.1\r\n", 1);
    assert_malformed(HEADER("\x11"));             /* version 1 */
    assert_malformed(HEADER("\x31"));             /* version 3 */
    assert_malformed(HEADER("\x22"));             /* command 2 */
    assert_malformed(HEADER("\x2f"));             /* command 15 */
    assert_malformed(HEADER("\x21\x12"));         /* UDP over IPv4 */
    assert_malformed(HEADER("\x21\x22"));         /* UDP over IPv6 */
    assert_malformed(HEADER("\x21\x32"));         /* Unix datagram */
    assert_malformed(HEADER("\x21\x10"));         /* IPv4, transport not said */
    assert_malformed(HEADER("\x21\x01"));         /* transport without a family */
    assert_malformed(HEADER("\x21\x41"));         /* family 4 */
    assert_malformed(HEADER("\x21\x13"));         /* transport 3 */
    assert_malformed(HEADER("\x21\x11\x00\x0b")); /* a byte short for IPv4 */
    assert_malformed(HEADER("\x21\x21\x00\x23")); /* a byte short for IPv6 */
    assert_malformed(HEADER("\x21\x31\x00\xd7")); /* a byte short for AF_UNIX */
}

static void test_bad_tlvs(void **state)
{
    (void)state;
    assert_malformed(HEADER("\x21\x00\x00\x01\x01"));
    assert_malformed(HEADER("\x21\x00\x00\x02\x01\x00"));
    assert_malformed(HEADER("\x21\x00\x00\x03\x01\x00\x01"));
    assert_malformed(HEADER("\x21\x00\x00\x04\x01\xff\xff\x01"));
    assert_malformed(HEADER("\x21\x11\x00\x0d" TCP4_ADDRESSES "\x01"));
    assert_malformed(HEADER("\x21\x00\x00\x03\x03\x00\x00"));                     /* CRC32C of 0 bytes */
    assert_malformed(HEADER("\x21\x00\x00\x08\x03\x00\x05\x01\x02\x03\x04\x05")); /* of 5 */
}

static void test_too_many_tlvs(void **state)
{
    (void)state;
    uint8_t header[16 + 3 * (PP2_TLVS_MAX + 1)] = SIGNATURE "\x21\x00";
    struct pp2 pp;
    for (size_t i = 0; i <= PP2_TLVS_MAX; i++)
        header[16 + 3 * i] = 0xe8;
    header[15] = 3 * PP2_TLVS_MAX;
    assert_int_equal(decode(header, sizeof(header), &pp), 16 + 3 * PP2_TLVS_MAX);
    assert_int_equal(pp.tlv_count, PP2_TLVS_MAX);
    header[15] += 3;
    assert_malformed(header, sizeof(header));
    header[16] = PP2_TLV_NOOP; /* padding does not count */
    assert_int_equal(decode(header, sizeof(header), &pp), sizeof(header));
}

/* Worked out apart from this code, with the CRC32C polynomial bit by bit. */
static void test_checksum(void **state)
{
    (void)state;
    uint8_t header[] = SIGNATURE "\x21\x11\x00\x13" TCP4_ADDRESSES "\x03\x00\x04"
                                 "\xf6\x03\xd2\x3a";
    const size_t len = sizeof(header) - 1;
    struct pp2 pp;
    assert_int_equal(decode(header, len, &pp), len);
    assert_splits(header, len);
    for (size_t i = 16; i < len; i++) {
        if (i >= 28 && i < 31) continue; /* the TLV's own type and length */
        header[i] ^= 0x10;
        assert_malformed(header, len);
        header[i] ^= 0x10;
    }
}

static void test_two_checksums(void **state)
{
    (void)state;
    uint8_t out[128];
    struct pp2 pp = {.tlv_count = 2};
    for (size_t i = 0; i < 2; i++)
        pp.tlvs[i] = (struct pp2_tlv){PP2_TLV_CRC32C, 4, (const uint8_t *)"\0\0\0"};
    ssize_t n = pp2_encode(&pp, out, sizeof(out));
    assert_int_equal(n, 16 + 14);
    assert_malformed(out, (size_t)n);
}

static void test_encode_bytes(void **state)
{
    (void)state;
    uint8_t out[128];
    struct pp2 pp = {.src = addr_of("192.0.2.1:4660"), .dst = addr_of("198.51.100.2:443"), .tlv_count = 1};
    pp.tlvs[0] = (struct pp2_tlv){PP2_TLV_ALPN, 2, (const uint8_t *)"h2"};
    assert_int_equal(pp2_encode(&pp, out, sizeof(out)), 33);
    assert_memory_equal(out, SIGNATURE "\x21\x11\x00\x11" TCP4_ADDRESSES "\x01\x00\x02h2", 33);
    assert_int_equal(pp2_encode(&pp, out, 33), 33);
    assert_int_equal(pp2_encode(&pp, out, 32), -1);
    pp.local = true;
    pp.tlv_count = 0;
    assert_int_equal(pp2_encode(&pp, out, 16), 16);
    assert_memory_equal(out, SIGNATURE "\x20\x00\x00\x00", 16);
}

static void test_round_trips(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"192.0.2.1:1", "192.0.2.2:65535"},
        {"[2001:db8::1]:1234", "[2001:db8::2]:443"},
        {"192.0.2.1:1234", "[2001:db8::2]:443"},
        {"[2001:db8::2]:1234", "192.0.2.1:443"},
    };
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct pp2 pp = {.src = addr_of(pairs[i][0]), .dst = addr_of(pairs[i][1]), .tlv_count = 2}, back;
        uint8_t out[128];
        pp.tlvs[0] = (struct pp2_tlv){PP2_TLV_UNIQUE_ID, 3, (const uint8_t *)"id1"};
        pp.tlvs[1] = (struct pp2_tlv){PP2_TLV_CRC32C, 4, (const uint8_t *)"\0\0\0"};
        ssize_t n = pp2_encode(&pp, out, sizeof(out));
        assert_true(n > 0);
        assert_int_equal(decode(out, (size_t)n, &back), n);
        assert_true(addr_equal(&pp.src, &back.src));
        assert_true(addr_equal(&pp.dst, &back.dst));
        assert_memory_equal(pp2_find(&back, PP2_TLV_UNIQUE_ID)->value, "id1", 3);
        assert_splits(out, (size_t)n);
        out[n - 1] ^= 1;
        assert_malformed(out, (size_t)n);
    }
}

static void test_encode_limits(void **state)
{
    (void)state;
    uint8_t *big = calloc(1, 65536), *out = malloc(PP2_MAX_BYTES);
    struct pp2 pp = {.tlv_count = 1}, back;
    assert_non_null(big);
    assert_non_null(out);
    pp.tlvs[0] = (struct pp2_tlv){PP2_TLV_POSTERN_ALPN_OFFER, 65532, big};
    assert_int_equal(pp2_encode(&pp, out, PP2_MAX_BYTES), PP2_MAX_BYTES);
    assert_int_equal(decode(out, PP2_MAX_BYTES, &back), PP2_MAX_BYTES);
    assert_int_equal(decode(out, PP2_MAX_BYTES - 1, &back), 0);
    pp.tlvs[0].len = 65533;
    assert_int_equal(pp2_encode(&pp, out, PP2_MAX_BYTES), -1);
    pp.tlvs[0].len = 65532 - 12 + 1;
    pp.src = pp.dst = addr_of("192.0.2.1:1");
    assert_int_equal(pp2_encode(&pp, out, PP2_MAX_BYTES), -1);
    free(big);
    free(out);
}

static void assert_v1(const char *src, const char *dst, const char *expected)
{
    char out[PP1_MAX_BYTES];
    struct pp2 pp = {0};
    if (src) pp.src = addr_of(src);
    if (dst) pp.dst = addr_of(dst);
    assert_int_equal(pp1_encode(&pp, out), strlen(expected));
    assert_string_equal(out, expected);
}

static void test_version1(void **state)
{
    (void)state;
    assert_v1("192.0.2.1:1234", "192.0.2.2:443", "PROXY TCP4 192.0.2.1 192.0.2.2 1234 443\r\n");
    assert_v1("[2001:db8::1]:1234", "[::1]:443", "PROXY TCP6 2001:db8::1 ::1 1234 443\r\n");
    assert_v1("192.0.2.1:1234", "[::1]:443", "PROXY TCP6 ::ffff:192.0.2.1 ::1 1234 443\r\n");
    assert_v1("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
              "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
              "65535\r\n");
    assert_v1(NULL, NULL, "PROXY UNKNOWN\r\n");
    assert_v1("192.0.2.1:1234", NULL, "PROXY UNKNOWN\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcp4),
        cmocka_unit_test(test_tlvs),
        cmocka_unit_test(test_without_addresses),
        cmocka_unit_test(test_local),
        cmocka_unit_test(test_refused_at_once),
        cmocka_unit_test(test_bad_tlvs),
        cmocka_unit_test(test_too_many_tlvs),
        cmocka_unit_test(test_checksum),
        cmocka_unit_test(test_two_checksums),
        cmocka_unit_test(test_encode_bytes),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_encode_limits),
        cmocka_unit_test(test_version1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
