#include "backend/terminated.h"

#include "lib/pp2_ssl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#define TLV(type_, text)                                                                                               \
    {                                                                                                                  \
        .type = (type_), .len = sizeof(text) - 1, .value = (const uint8_t *)(text)                                     \
    }
#define TLS13  TLV(PP2_TLV_SSL, "\x01\0\0\0\0\x21\0\x07TLSv1.3")
#define TEN    "0123456789"
#define THIRTY TEN TEN TEN

static struct terminated *read_tlvs(const struct pp2_tlv *tlvs, size_t count, const char **why)
{
    struct pp2 pp = {.tlv_count = count};
    memcpy(pp.tlvs, tlvs, count * sizeof(*tlvs));
    return terminated_read(&pp, why);
}

#define READ(why, ...)                                                                                                 \
    read_tlvs((struct pp2_tlv[]){__VA_ARGS__}, sizeof((struct pp2_tlv[]){__VA_ARGS__}) / sizeof(struct pp2_tlv), why)

static void assert_refused(struct terminated *t, const char *why, const char *expected)
{
    assert_null(t);
    assert_string_equal(why, expected);
}

static void test_what_is_told(void **state)
{
    (void)state;
    const char *why = NULL;
    struct terminated *t = READ(&why, TLV(PP2_TLV_SSL, "\x01\0\0\0\x01\x21\0\x07TLSv1.2\x23\0\x02xy"),
                                TLV(PP2_TLV_ALPN, "xmpp-client"), TLV(PP2_TLV_POSTERN_EXPORTER, THIRTY "ab"),
                                TLV(PP2_TLV_POSTERN_END_POINT, THIRTY TEN "01234567"), TLV(0xe9, "?"), TLV(0xe9, "?"));
    assert_non_null(t);
    assert_null(why);
    assert_string_equal(t->version, "TLSv1.2");
    assert_string_equal(t->cipher, "xy");
    assert_int_equal(t->alpn_len, 11);
    assert_memory_equal(t->alpn, "xmpp-client", 11);
    assert_true(t->has_exporter);
    assert_memory_equal(t->exporter, THIRTY "ab", 32);
    assert_int_equal(t->end_point_len, 48);
    assert_null(t->chain);
    assert_false(t->verified);
    terminated_forget(t);
    assert_false(t->has_exporter);
    assert_int_equal(t->end_point_len, 0);
    assert_int_equal(t->exporter[0], 0);
    assert_string_equal(t->version, "TLSv1.2");
    terminated_free(&t);
    assert_null(t);
}

static void test_tls_alone(void **state)
{
    (void)state;
    const char *why = NULL;
    struct terminated *t = READ(&why, TLS13, TLV(PP2_TLV_ALPN, ""));
    assert_non_null(t);
    assert_false(t->has_exporter);
    assert_int_equal(t->end_point_len, 0);
    assert_int_equal(t->alpn_len, 0);
    terminated_free(&t);
}

static void test_refused(void **state)
{
    (void)state;
    const char *why = NULL;
    struct terminated *t = READ(&why, TLV(PP2_TLV_POSTERN_EXPORTER, THIRTY "ab"));
    assert_refused(t, why, "the client does not use TLS");
    t = READ(&why, TLV(PP2_TLV_SSL, "\x06\0\0\0\0"));
    assert_refused(t, why, "the client does not use TLS");
    t = READ(&why, TLV(PP2_TLV_SSL, "\x01\0\0\0\0\x21\0\x05TLSv1"));
    assert_refused(t, why, "the client uses a TLS below 1.2");
    t = READ(&why, TLS13, TLS13);
    assert_refused(t, why, "a TLV twice");
    t = READ(&why, TLS13, TLV(PP2_TLV_POSTERN_EXPORTER, THIRTY "a"));
    assert_refused(t, why, "a tls-exporter value of a wrong length");
    t = READ(&why, TLS13, TLV(PP2_TLV_POSTERN_END_POINT, TEN TEN "0123456"));
    assert_refused(t, why, "a tls-server-end-point value of a wrong length");
    t = READ(&why, TLV(PP2_TLV_SSL, "\x03\0\0\0\0"), TLV(PP2_TLV_POSTERN_CHAIN, "\0\0\x01x"));
    assert_refused(t, why, "a chain that is too long, or has something else than certificates");
    t = READ(&why, TLV(PP2_TLV_SSL, "\x03\0\0\0\0"), TLV(PP2_TLV_POSTERN_CHAIN, "\0\0"));
    assert_refused(t, why, "a chain that is cut");
    t = READ(&why, TLS13, TLV(PP2_TLV_POSTERN_CHAIN, "\0\0\x01x"));
    assert_refused(t, why, "a chain of a client without a certificate");
}

static void test_the_verdict(void **state)
{
    (void)state;
    static const struct {
        const char *ssl;
        bool verified;
    } rows[] = {{"\x01\0\0\0\0", false}, {"\x03\0\0\0\0", true}, {"\x05\0\0\0\0", true}, {"\x03\x01\0\0\0", false}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *why = NULL;
        const struct pp2_tlv tlv = {.type = PP2_TLV_SSL, .len = 5, .value = (const uint8_t *)rows[i].ssl};
        struct terminated *t = read_tlvs(&tlv, 1, &why);
        assert_non_null(t);
        assert_int_equal(t->verified, rows[i].verified);
        terminated_free(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_told),
        cmocka_unit_test(test_tls_alone),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_the_verdict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
