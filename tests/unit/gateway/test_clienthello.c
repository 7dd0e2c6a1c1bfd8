#include "gateway/clienthello.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/gateway/sample.h"

/* What a sample that is COMPLETE must be read as. */
struct expected {
    const char *file;
    const char *sni;  /* NULL: none */
    const char *alpn; /* as clienthello_alpn_text; NULL: the extension was not sent */
    unsigned version_max;
    uint8_t versions; /* 0: not looked at */
    bool fragmented, sslv2, ech;
};

static const struct expected EXPECTED[] = {
    {.file = "real_openssl_xmpp", .sni = "xmpps.example.test", .alpn = "xmpp-client", .version_max = 0x0304},
    {.file = "real_openssl_tls12_noname", .versions = CLIENTHELLO_TLS12, .version_max = 0x0303},
    {.file = "real_openssl_acme", .sni = "example.test", .alpn = "acme-tls/1", .version_max = 0x0304},
    {.file = "real_curl_http2",
     .sni = "www.example.test",
     .alpn = "h2,http/1.1",
     .versions = 0xf,
     .version_max = 0x0304},
    {.file = "real_curl_no_alpn", .sni = "www.example.test", .version_max = 0x0304},
    {.file = "real_curl_address", .alpn = "h2,http/1.1", .version_max = 0x0304},
    {.file = "real_python_xmpp_server", .sni = "chat.example.test", .alpn = "xmpp-server,h2", .version_max = 0x0304},
    {.file = "good_post_quantum",
     .sni = "www.example.test",
     .alpn = "h2,http/1.1",
     .versions = CLIENTHELLO_TLS12 | CLIENTHELLO_TLS13,
     .version_max = 0x0304,
     .ech = true},
    {.file = "good_post_quantum_split",
     .sni = "www.example.test",
     .alpn = "h2,http/1.1",
     .version_max = 0x0304,
     .ech = true,
     .fragmented = true},
    {.file = "good_split_every_byte",
     .sni = "xmpps.example.test",
     .alpn = "xmpp-client",
     .version_max = 0x0304,
     .fragmented = true},
    {.file = "good_two_records",
     .sni = "xmpps.example.test",
     .alpn = "xmpp-client",
     .version_max = 0x0304,
     .fragmented = true},
    {.file = "good_shares_record", .sni = "xmpps.example.test", .alpn = "xmpp-client", .version_max = 0x0304},
    {.file = "good_early_data", .sni = "xmpps.example.test", .alpn = "xmpp-client", .version_max = 0x0304},
    {.file = "good_padding", .sni = "xmpps.example.test", .alpn = "xmpp-client", .version_max = 0x0304},
    {.file = "good_tls10", .sni = "old.example.test", .versions = CLIENTHELLO_TLS10, .version_max = 0x0301},
    {.file = "good_no_extensions", .versions = CLIENTHELLO_TLS10, .version_max = 0x0301},
    {.file = "good_no_sni", .alpn = "h2,http/1.1", .version_max = 0x0304},
    {.file = "good_no_alpn", .sni = "example.test", .version_max = 0x0304},
    {.file = "good_trailing_dot", .sni = "example.test", .version_max = 0x0303},
    {.file = "good_upper_case", .sni = "www.example.test", .version_max = 0x0303},
    {.file = "good_sni_ipv4", .version_max = 0x0303},
    {.file = "good_sni_ipv6", .version_max = 0x0303},
    {.file = "good_ech", .sni = "outer.example.test", .version_max = 0x0304, .ech = true},
    {.file = "good_versions_all", .sni = "example.test", .versions = 0xf, .version_max = 0x0304},
    {.file = "good_versions_unknown", .sni = "example.test", .versions = CLIENTHELLO_TLS12, .version_max = 0x0303},
    {.file = "good_versions_future", .sni = "example.test", .versions = CLIENTHELLO_TLS12, .version_max = 0x0305},
    {.file = "good_sslv2", .versions = CLIENTHELLO_TLS12, .version_max = 0x0303, .sslv2 = true},
};

static void hellos_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(EXPECTED); i++) {
        const struct expected *e = &EXPECTED[i];
        struct sample sample = sample_load(e->file);
        struct clienthello hello;
        char alpn[256];
        print_message("%s\n", e->file);
        assert_int_equal(clienthello_parse(sample.data, sample.len, &hello), CLIENTHELLO_COMPLETE);
        assert_int_equal(hello.has_sni, e->sni != NULL);
        assert_string_equal(hello.sni, e->sni != NULL ? e->sni : "");
        assert_int_equal(hello.has_alpn, e->alpn != NULL);
        assert_string_equal(clienthello_alpn_text(&hello, alpn, sizeof(alpn)), e->alpn != NULL ? e->alpn : "");
        assert_int_equal(hello.version_max, e->version_max);
        if (e->versions != 0) assert_int_equal(hello.versions, e->versions);
        assert_int_equal(hello.fragmented, e->fragmented);
        assert_int_equal(hello.sslv2, e->sslv2);
        assert_int_equal(hello.has_ech, e->ech);
        free(sample.data);
    }
}

static size_t good_seen;

/* The names of the samples say their verdict. */
static void check_verdict(const struct sample *sample)
{
    static const struct {
        const char *prefix;
        enum clienthello_verdict verdict;
    } NAMED[] = {{"real_", CLIENTHELLO_COMPLETE}, {"good_", CLIENTHELLO_COMPLETE}, {"bad_", CLIENTHELLO_BAD},
                 {"no_", CLIENTHELLO_NO},         {"text_", CLIENTHELLO_NO},       {"more_", CLIENTHELLO_MORE}};
    for (size_t i = 0; i < ARRAY_LEN(NAMED); i++) {
        if (strncmp(sample->name, NAMED[i].prefix, strlen(NAMED[i].prefix)) != 0) continue;
        struct clienthello hello;
        print_message("%s\n", sample->name);
        assert_int_equal(clienthello_parse(sample->data, sample->len, &hello), NAMED[i].verdict);
        if (NAMED[i].verdict == CLIENTHELLO_COMPLETE) good_seen++;
    }
}

static void verdicts_are_as_named(void **state)
{
    (void)state;
    good_seen = 0;
    assert_true(sample_each(check_verdict) >= 40);
    assert_int_equal(good_seen, ARRAY_LEN(EXPECTED));
}

static void out_is_left_alone_without_a_hello(void **state)
{
    (void)state;
    struct clienthello hello, before;
    memset(&hello, 0x5a, sizeof(hello));
    memset(&before, 0x5a, sizeof(before));
    static const char *const FILES[] = {"bad_alpn_empty_name", "more_half_hello", "no_alert_first"};
    for (size_t i = 0; i < ARRAY_LEN(FILES); i++) {
        struct sample sample = sample_load(FILES[i]);
        assert_int_not_equal(clienthello_parse(sample.data, sample.len, &hello), CLIENTHELLO_COMPLETE);
        assert_memory_equal(&hello, &before, sizeof(hello));
        free(sample.data);
    }
}

/* Every bit of a good hello flipped, one at a time: no verdict may be MORE for want of bytes that a length never said.
 */
static void flipped_bits_do_no_harm(void **state)
{
    (void)state;
    struct sample sample = sample_load("good_post_quantum_split");
    size_t complete = 0;
    for (size_t bit = 0; bit < sample.len * 8; bit++) {
        struct clienthello hello;
        sample.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        if (clienthello_parse(sample.data, sample.len, &hello) == CLIENTHELLO_COMPLETE) {
            assert_true(memchr(hello.sni, '\0', sizeof(hello.sni)) != NULL);
            assert_true(hello.alpn_len <= sizeof(hello.alpn));
            complete++;
        }
        sample.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    assert_in_range(complete, sample.len, sample.len * 8 - 100);
    free(sample.data);
}

static void first_bytes_decide_early(void **state)
{
    (void)state;
    struct clienthello hello;
    static const struct {
        const char *bytes;
        size_t len;
        enum clienthello_verdict verdict;
    } ROWS[] = {
        {"", 0, CLIENTHELLO_MORE},
        {"\x16", 1, CLIENTHELLO_MORE},
        {"\x17", 1, CLIENTHELLO_NO},
        {"\x16\x02", 2, CLIENTHELLO_NO},
        {"\x16\x03\x04", 3, CLIENTHELLO_MORE},
        {"\x16\x03\x05", 3, CLIENTHELLO_NO},
        {"\x16\x03\x01\x40\x00", 5, CLIENTHELLO_MORE},
        {"\x16\x03\x01\x40\x01", 5, CLIENTHELLO_NO},
        {"\x16\x03\x01\x00\x00", 5, CLIENTHELLO_NO},
        {"\x16\x03\x01\x00\x04\x02", 6, CLIENTHELLO_NO},
        {"\x16\x03\x01\x00\x04\x01\x00\xff\xfb", 9, CLIENTHELLO_MORE},
        {"\x16\x03\x01\x00\x04\x01\x00\xff\xfc", 9, CLIENTHELLO_BAD},
        {"\x16\x03\x01\x00\x01\x01\x15", 7, CLIENTHELLO_BAD},
        {"\x16\x03\x01\x00\x01\x01\x16\x02", 8, CLIENTHELLO_BAD},
        {"\x16\x03\x01\x00\x01\x01\x16\x03\x01\x00\x00", 11, CLIENTHELLO_BAD},
        {"\x80", 1, CLIENTHELLO_MORE},
        {"\x80\x1b", 2, CLIENTHELLO_NO},
        {"\x80\x1c\x01", 3, CLIENTHELLO_MORE},
        {"\x80\x1c\x02", 3, CLIENTHELLO_NO},
        {"\x80\x1c\x01\x00\x02", 5, CLIENTHELLO_NO},
        {"\x80\x1c\x01\x03\x05", 5, CLIENTHELLO_NO},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        assert_int_equal(clienthello_parse((const uint8_t *)ROWS[i].bytes, ROWS[i].len, &hello), ROWS[i].verdict);
}

/* Nothing behind the message is waited for, even in its own record. */
static void the_end_of_the_message_is_enough(void **state)
{
    (void)state;
    struct clienthello hello;
    struct sample sample = sample_load("good_shares_record");
    assert_int_equal(clienthello_parse(sample.data, sample.len - 10, &hello), CLIENTHELLO_MORE);
    assert_int_equal(clienthello_parse(sample.data, sample.len - 9, &hello), CLIENTHELLO_COMPLETE);
    free(sample.data);
}

/* The largest message that is taken, in four records of the largest size. */
static void the_largest_hello_is_joined(void **state)
{
    (void)state;
    enum { BODY = 65535 - 4, RECORDS = 4 };
    uint8_t *message = calloc(1, 65535);
    uint8_t *data = calloc(1, 65535 + RECORDS * 5);
    assert_non_null(message);
    assert_non_null(data);
    const uint8_t head[] = {1, 0, BODY >> 8, BODY & 0xff, 3, 3};
    memcpy(message, head, sizeof(head));
    const size_t ciphers = BODY - 2 - 32 - 1 - 2 - 1 - 1;
    message[39] = (uint8_t)(ciphers >> 8);
    message[40] = (uint8_t)ciphers;
    message[41 + ciphers] = 1;

    size_t len = 0;
    for (size_t at = 0; at < 65535; at += 16384) {
        size_t size = 65535 - at < 16384 ? 65535 - at : 16384;
        const uint8_t header[] = {0x16, 3, 1, (uint8_t)(size >> 8), (uint8_t)size};
        memcpy(data + len, header, sizeof(header));
        memcpy(data + len + 5, message + at, size);
        len += 5 + size;
    }
    struct clienthello hello;
    assert_int_equal(clienthello_parse(data, len - 1, &hello), CLIENTHELLO_MORE);
    assert_int_equal(clienthello_parse(data, len, &hello), CLIENTHELLO_COMPLETE);
    assert_true(hello.fragmented);
    free(message);
    free(data);
}

static void offers_compare_whole_names(void **state)
{
    (void)state;
    struct clienthello hello = {.has_alpn = true, .alpn_len = 12, .alpn = "\x02h2\x08http/1.1"};
    assert_true(clienthello_offers(&hello, "h2"));
    assert_true(clienthello_offers(&hello, "http/1.1"));
    assert_false(clienthello_offers(&hello, "h"));
    assert_false(clienthello_offers(&hello, "H2"));
    assert_false(clienthello_offers(&hello, "h2c"));
    assert_false(clienthello_offers(&hello, ""));
    hello.alpn_len = 0;
    assert_false(clienthello_offers(&hello, "h2"));
}

static void alpn_text_is_safe_and_cut(void **state)
{
    (void)state;
    struct clienthello hello = {.has_alpn = true,
                                .alpn_len = 10,
                                .alpn = "\x05"
                                        "a,\\\"\n"
                                        "\x03\xff"
                                        "b "};
    char out[64];
    assert_string_equal(clienthello_alpn_text(&hello, out, sizeof(out)), "a\\x2c\\x5c\\x22\\x0a,\\xffb\\x20");
    assert_string_equal(clienthello_alpn_text(&hello, out, 5), "a");
    assert_string_equal(clienthello_alpn_text(&hello, out, 6), "a\\x2c");
    assert_string_equal(clienthello_alpn_text(&hello, out, 1), "");
    out[0] = 'x';
    clienthello_alpn_text(&hello, out, 0);
    assert_int_equal(out[0], 'x');
    hello.alpn_len = 0;
    assert_string_equal(clienthello_alpn_text(&hello, out, sizeof(out)), "");
}

/* What came of a handshake is told in the same words as an offer. */
static void what_was_negotiated(void **state)
{
    (void)state;
    struct clienthello hello;
    clienthello_negotiated(&hello, "WWW.Example.test.", (const uint8_t *)"h2", 2, 0x0304);
    assert_true(hello.has_sni && hello.has_alpn);
    assert_string_equal(hello.sni, "www.example.test");
    assert_true(clienthello_offers(&hello, "h2"));
    assert_false(clienthello_offers(&hello, "h"));
    assert_int_equal(hello.versions, CLIENTHELLO_TLS13);
    assert_int_equal(hello.version_max, 0x0304);
    clienthello_negotiated(&hello, NULL, NULL, 0, 0x0303);
    assert_false(hello.has_sni || hello.has_alpn || hello.has_ech);
    assert_int_equal(hello.alpn_len, 0);
    assert_int_equal(hello.versions, CLIENTHELLO_TLS12);
    uint8_t longest[300] = {'x'};
    memset(longest, 'x', sizeof(longest));
    clienthello_negotiated(&hello, "a b", longest, 255, 0x0300);
    assert_false(hello.has_sni);
    assert_string_equal(hello.sni, "");
    assert_int_equal(hello.alpn_len, 256);
    assert_int_equal(hello.versions, 0);
    clienthello_negotiated(&hello, "192.0.2.1", longest, 256, 0x0303);
    assert_false(hello.has_sni || hello.has_alpn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hellos_are_read),
        cmocka_unit_test(what_was_negotiated),
        cmocka_unit_test(verdicts_are_as_named),
        cmocka_unit_test(out_is_left_alone_without_a_hello),
        cmocka_unit_test(flipped_bits_do_no_harm),
        cmocka_unit_test(first_bytes_decide_early),
        cmocka_unit_test(the_end_of_the_message_is_enough),
        cmocka_unit_test(the_largest_hello_is_joined),
        cmocka_unit_test(offers_compare_whole_names),
        cmocka_unit_test(alpn_text_is_safe_and_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
