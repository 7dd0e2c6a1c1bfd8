#include "lib/pp2_ssl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

static void assert_text(struct pp2_text text, const char *expected)
{
    assert_non_null(text.text);
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.text, expected, text.len);
}

/* Decode from a block of exactly that length, so that reading too far is seen. */
static int decode(const uint8_t *value, size_t len, const char **why)
{
    struct pp2_ssl ssl;
    uint8_t *exact = malloc(len ? len : 1);
    assert_non_null(exact);
    memcpy(exact, value, len);
    const int result = pp2_ssl_decode(exact, len, &ssl, why);
    free(exact);
    return result;
}

/* As HAProxy writes it with send-proxy-v2-ssl-cn. */
static void test_written_out_by_hand(void **state)
{
    (void)state;
    struct pp2_ssl ssl;
    const char *why = NULL;
    const uint8_t *value = (const uint8_t *)"\x07\x01\x02\x03\x04"
                                            "\x21\x00\x07TLSv1.3"
                                            "\x23\x00\x03xyz"
                                            "\x77\x00\x01?"
                                            "\x22\x00\x00";
    assert_int_equal(pp2_ssl_decode(value, 5 + 10 + 6 + 4 + 3, &ssl, &why), 0);
    assert_int_equal(ssl.client, PP2_CLIENT_SSL | PP2_CLIENT_CERT_CONN | PP2_CLIENT_CERT_SESS);
    assert_int_equal(ssl.verify, 0x01020304);
    assert_text(ssl.version, "TLSv1.3");
    assert_text(ssl.cipher, "xyz");
    assert_text(ssl.cn, "");
    assert_null(ssl.sig_alg.text);
    assert_null(ssl.key_alg.text);
}

static void test_there_and_back(void **state)
{
    (void)state;
    uint8_t out[PP2_SSL_MAX_BYTES];
    struct pp2_ssl back, ssl = {.client = PP2_CLIENT_SSL, .verify = 0xfffffffe, .version = {"TLSv1.2", 7}};
    const char *why = NULL;
    ssl.cn = (struct pp2_text){"Romeo", 5};
    ssl.cipher = (struct pp2_text){"ECDHE", 5};
    ssl.sig_alg = (struct pp2_text){"RSA-SHA256", 10};
    ssl.key_alg = (struct pp2_text){"RSA2048", 7};
    const ssize_t len = pp2_ssl_encode(&ssl, out, sizeof(out));
    assert_int_equal(len, 5 + 10 + 8 + 8 + 13 + 10);
    assert_int_equal(pp2_ssl_decode(out, (size_t)len, &back, &why), 0);
    assert_int_equal(back.client, ssl.client);
    assert_int_equal(back.verify, ssl.verify);
    assert_text(back.version, "TLSv1.2");
    assert_text(back.cn, "Romeo");
    assert_text(back.cipher, "ECDHE");
    assert_text(back.sig_alg, "RSA-SHA256");
    assert_text(back.key_alg, "RSA2048");
    for (size_t cap = 0; cap < (size_t)len; cap++) {
        uint8_t *exact = malloc(cap ? cap : 1);
        assert_non_null(exact);
        assert_int_equal(pp2_ssl_encode(&ssl, exact, cap), -1);
        free(exact);
    }
}

static void test_malformed(void **state)
{
    (void)state;
    const char *why = NULL;
    assert_int_equal(decode(BYTES(""), &why), -1);
    assert_int_equal(decode(BYTES("\x01\0\0\0"), &why), -1);
    assert_int_equal(decode(BYTES("\x01\0\0\0\0\x21"), &why), -1);
    assert_int_equal(decode(BYTES("\x01\0\0\0\0\x21\0"), &why), -1);
    assert_int_equal(decode(BYTES("\x01\0\0\0\0\x21\0\x02x"), &why), -1);
    assert_int_equal(decode(BYTES("\x01\0\0\0\0\x77\xff\xffx"), &why), -1);
    assert_string_equal(why, "an SSL TLV that is cut");
    assert_int_equal(decode(BYTES("\x01\0\0\0\0\x21\0\x01x\x21\0\x01x"), &why), -1);
    assert_string_equal(why, "an SSL TLV that says something twice");
    assert_int_equal(decode(BYTES("\x01\0\0\0\0\x77\0\x01x\x77\0\x01x"), &why), 0);
}

static void test_chain(void **state)
{
    (void)state;
    uint8_t out[20];
    size_t used = 0, left, len;
    assert_true(pp2_chain_append(out, sizeof(out), &used, BYTES("leaf")));
    assert_true(pp2_chain_append(out, sizeof(out), &used, BYTES("issuer")));
    assert_int_equal(used, 16);
    assert_memory_equal(out, "\0\0\x04leaf\0\0\x06issuer", 16);
    assert_false(pp2_chain_append(out, sizeof(out), &used, BYTES("xy")));
    assert_false(pp2_chain_append(out, sizeof(out), &used, BYTES("")));
    assert_false(pp2_chain_append(out, 18, &used, BYTES("x")));
    assert_int_equal(used, 16);
    const uint8_t *at = out, *der = NULL;
    left = used;
    assert_int_equal(pp2_chain_next(&at, &left, &der, &len), 1);
    assert_int_equal(len, 4);
    assert_memory_equal(der, "leaf", 4);
    assert_int_equal(pp2_chain_next(&at, &left, &der, &len), 1);
    assert_int_equal(len, 6);
    assert_memory_equal(der, "issuer", 6);
    assert_int_equal(pp2_chain_next(&at, &left, &der, &len), 0);
}

static int first_of(const uint8_t *chain, size_t left)
{
    const uint8_t *der = NULL;
    size_t len = 0;
    return pp2_chain_next(&chain, &left, &der, &len);
}

static void test_malformed_chain(void **state)
{
    (void)state;
    assert_int_equal(first_of(BYTES("\0")), -1);
    assert_int_equal(first_of(BYTES("\0\0")), -1);
    assert_int_equal(first_of(BYTES("\0\0\0")), -1);
    assert_int_equal(first_of(BYTES("\0\0\x02x")), -1);
    assert_int_equal(first_of(BYTES("\xff\xff\xffx")), -1);
    assert_int_equal(first_of(BYTES("\0\0\x01x")), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written_out_by_hand), cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_malformed),           cmocka_unit_test(test_chain),
        cmocka_unit_test(test_malformed_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
