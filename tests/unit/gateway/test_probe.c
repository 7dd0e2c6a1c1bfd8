#include "gateway/probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/gateway/sample.h"

static struct sight sight_of(const void *data, size_t len, bool final)
{
    return (struct sight){.data = data, .len = len, .final = final};
}

/* Write text without its NUL. */
static void put(uint8_t *at, const char *text)
{
    for (; *text != '\0'; text++)
        *at++ = (uint8_t)*text;
}

static enum probe_verdict look(const char *probe, const char *text, bool final)
{
    int found = probe_find(probe);
    assert_true(found >= 0);
    size_t len = strlen(text);
    uint8_t *exact = malloc(len > 0 ? len : 1);
    assert_non_null(exact);
    put(exact, text);
    struct sight sight = sight_of(exact, len, final);
    enum probe_verdict verdict = PROBES[found].look(&sight);
    free(exact);
    return verdict;
}

static void probes_are_found_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < PROBE_COUNT; i++) {
        assert_int_equal(probe_find(PROBES[i].name), i);
        assert_true(strlen(PROBES[i].help) > 0);
    }
    assert_int_equal(probe_find("TLS"), -1);
    assert_int_equal(probe_find(""), -1);
}

static void nothing_seen_is_more_until_final(void **state)
{
    (void)state;
    for (size_t i = 0; i < PROBE_COUNT; i++) {
        struct sight sight = sight_of(NULL, 0, false);
        assert_int_equal(PROBES[i].look(&sight), PROBE_MORE);
        sight.final = true;
        assert_int_equal(PROBES[i].look(&sight), PROBE_NO);
    }
}

static void http_takes_request_lines(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum probe_verdict verdict, final;
    } ROWS[] = {
        {"GET / HTTP/1.1\r\n", PROBE_MATCH, PROBE_MATCH},
        {"GET / HTTP/1.", PROBE_MATCH, PROBE_MATCH},
        {"M-SEARCH * HTTP/1.1", PROBE_MATCH, PROBE_MATCH},
        {"OPTIONS * HTTP/1.0", PROBE_MATCH, PROBE_MATCH},
        {"CONNECT a:443 HTTP/1.1", PROBE_MATCH, PROBE_MATCH},
        {"GET http://a/ HTTP/1.1", PROBE_MATCH, PROBE_MATCH},
        {"G", PROBE_MORE, PROBE_NO},
        {"GET ", PROBE_MORE, PROBE_NO},
        {"GET /", PROBE_MORE, PROBE_MATCH},
        {"GET /a HTTP/1", PROBE_MORE, PROBE_MATCH},
        {"EHLO mail.exam", PROBE_MORE, PROBE_NO},
        {"EHLO mail.example.test\r", PROBE_NO, PROBE_NO},
        {"get / HTTP/1.1", PROBE_NO, PROBE_NO},
        {"GET  / HTTP/1.1", PROBE_NO, PROBE_NO},
        {"GET /\r\n", PROBE_NO, PROBE_NO},
        {"GET / HTTP/2", PROBE_NO, PROBE_NO},
        {"GET / HTTP/0", PROBE_NO, PROBE_NO},
        {"GET /\x7f", PROBE_NO, PROBE_NO},
        {" GET / HTTP/1.1", PROBE_NO, PROBE_NO},
        {"-GET / HTTP/1.1", PROBE_NO, PROBE_NO},
        {"SSH-2.0-x", PROBE_NO, PROBE_NO},
        {"ABCDEFGHIJKLMNOPQRST / HTTP/1.1", PROBE_MATCH, PROBE_MATCH},
        {"ABCDEFGHIJKLMNOPQRST", PROBE_MORE, PROBE_NO},
        {"ABCDEFGHIJKLMNOPQRSTU", PROBE_NO, PROBE_NO},
        {"ABCDEFGHIJKLMNOPQRSTU / HTTP/1.1", PROBE_NO, PROBE_NO},
        {"PRI * HTTP/", PROBE_MORE, PROBE_NO},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", PROBE_NO, PROBE_NO},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        print_message("%s\n", ROWS[i].text);
        assert_int_equal(look("http", ROWS[i].text, false), ROWS[i].verdict);
        assert_int_equal(look("http", ROWS[i].text, true), ROWS[i].final);
    }
}

static void http_has_a_limit(void **state)
{
    (void)state;
    uint8_t line[9000];
    memset(line, 'a', sizeof(line));
    put(line, "GET /");
    int http = probe_find("http");
    struct sight sight = sight_of(line, 8191, false);
    assert_int_equal(PROBES[http].look(&sight), PROBE_MORE);
    for (sight.len = 8192; sight.len < sizeof(line); sight.len += 101)
        assert_int_equal(PROBES[http].look(&sight), PROBE_MATCH);
    line[4] = '*';
    assert_int_equal(PROBES[http].look(&sight), PROBE_NO);
    /* The version lies across the limit: the answer is the one for the first 8192 bytes. */
    put(line + 8188, " HTTP/1.1");
    assert_int_equal(PROBES[http].look(&sight), PROBE_NO);
}

static void http2_takes_the_preface(void **state)
{
    (void)state;
    assert_int_equal(look("http2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", false), PROBE_MATCH);
    assert_int_equal(look("http2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nmore", false), PROBE_MATCH);
    assert_int_equal(look("http2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r", false), PROBE_MORE);
    assert_int_equal(look("http2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r", true), PROBE_NO);
    assert_int_equal(look("http2", "PRI * HTTP/1", false), PROBE_NO);
}

static void xmpp_takes_openings(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum probe_verdict verdict, final;
    } ROWS[] = {
        {"<?xml version='1.0'?>", PROBE_MATCH, PROBE_MATCH},
        {"<?xml", PROBE_MATCH, PROBE_MATCH},
        {"<stream:stream", PROBE_MATCH, PROBE_MATCH},
        {"\xef\xbb\xbf<?xml", PROBE_MATCH, PROBE_MATCH},
        {" \t\r\n<?xml", PROBE_MATCH, PROBE_MATCH},
        {"\xef\xbb\xbf <stream:stream", PROBE_MATCH, PROBE_MATCH},
        {"<", PROBE_MORE, PROBE_NO},
        {"<stream:strea", PROBE_MORE, PROBE_NO},
        {"\xef\xbb", PROBE_MORE, PROBE_NO},
        {"\xef\xbb\xbf", PROBE_MORE, PROBE_NO},
        {" ", PROBE_MORE, PROBE_NO},
        {" \xef", PROBE_NO, PROBE_NO},
        {"<?XML", PROBE_NO, PROBE_NO},
        {"<html>", PROBE_NO, PROBE_NO},
        {"<stream>", PROBE_NO, PROBE_NO},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        assert_int_equal(look("xmpp", ROWS[i].text, false), ROWS[i].verdict);
        assert_int_equal(look("xmpp", ROWS[i].text, true), ROWS[i].final);
    }

    uint8_t space[600];
    memset(space, ' ', sizeof(space));
    int xmpp = probe_find("xmpp");
    struct sight sight = sight_of(space, 256, false);
    assert_int_equal(PROBES[xmpp].look(&sight), PROBE_MORE);
    sight.len = 257;
    assert_int_equal(PROBES[xmpp].look(&sight), PROBE_NO);
    put(space + 256, "<?xml");
    sight.len = sizeof(space);
    assert_int_equal(PROBES[xmpp].look(&sight), PROBE_MATCH);
}

static void ssh_takes_identifications(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum probe_verdict verdict, final;
    } ROWS[] = {
        {"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", PROBE_MATCH, PROBE_MATCH},
        {"SSH-2.0-", PROBE_MATCH, PROBE_MATCH},
        {"SSH-1.99-x", PROBE_MATCH, PROBE_MATCH},
        {"S", PROBE_MORE, PROBE_NO},
        {"SSH-2.0", PROBE_MORE, PROBE_NO},
        {"SSH-1.99", PROBE_MORE, PROBE_NO},
        {"SSH-1.9-", PROBE_NO, PROBE_NO},
        {"SSH-1.5-1.2.27\n", PROBE_NO, PROBE_NO},
        {"SSH-2.00", PROBE_NO, PROBE_NO},
        {"ssh-2.0-", PROBE_NO, PROBE_NO},
        {"\nSSH-2.0-", PROBE_NO, PROBE_NO},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        assert_int_equal(look("ssh", ROWS[i].text, false), ROWS[i].verdict);
        assert_int_equal(look("ssh", ROWS[i].text, true), ROWS[i].final);
    }
}

static void tls_fills_the_sight(void **state)
{
    (void)state;
    int tls = probe_find("tls");
    struct sample sample = sample_load("real_openssl_xmpp");
    for (size_t len = 1; len < sample.len; len++) {
        struct sight sight = sight_of(sample.data, len, false);
        assert_int_equal(PROBES[tls].look(&sight), PROBE_MORE);
        sight.final = true;
        assert_int_equal(PROBES[tls].look(&sight), len < 3 ? PROBE_NO : PROBE_MATCH);
        assert_int_equal(sight.hello_partial, len >= 3);
        assert_false(sight.hello_done);
    }
    /* What an earlier look left behind must not survive the next one. */
    struct sight sight = sight_of(sample.data, sample.len, true);
    sight.hello_partial = true;
    assert_int_equal(PROBES[tls].look(&sight), PROBE_MATCH);
    assert_true(sight.hello_done);
    assert_false(sight.hello_partial);
    assert_string_equal(sight.hello.sni, "xmpps.example.test");
    free(sample.data);

    static const struct {
        const char *file;
        enum probe_verdict verdict;
    } ROWS[] = {{"bad_duplicate_extension", PROBE_NO}, {"no_server_hello", PROBE_NO}, {"good_sslv2", PROBE_MATCH}};
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        sample = sample_load(ROWS[i].file);
        sight = sight_of(sample.data, sample.len, true);
        assert_int_equal(PROBES[tls].look(&sight), ROWS[i].verdict);
        assert_int_equal(sight.hello_done, ROWS[i].verdict == PROBE_MATCH);
        free(sample.data);
    }
    sample = sample_load("good_sslv2");
    for (size_t len = 1; len < sample.len; len++) {
        sight = sight_of(sample.data, len, true);
        assert_int_equal(PROBES[tls].look(&sight), len < 5 ? PROBE_NO : PROBE_MATCH);
    }
    free(sample.data);
}

/* No two protocols claim the same connection. */
static void check_one_at_most(const struct sample *sample)
{
    size_t matches = 0;
    for (size_t i = 0; i < PROBE_COUNT; i++) {
        struct sight sight = sight_of(sample->data, sample->len, true);
        enum probe_verdict verdict = PROBES[i].look(&sight);
        assert_int_not_equal(verdict, PROBE_MORE);
        if (verdict == PROBE_MATCH) matches++;
    }
    assert_true(matches <= 1);
}

static void protocols_exclude_each_other(void **state)
{
    (void)state;
    assert_true(sample_each(check_one_at_most) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(probes_are_found_by_name),     cmocka_unit_test(nothing_seen_is_more_until_final),
        cmocka_unit_test(http_takes_request_lines),     cmocka_unit_test(http_has_a_limit),
        cmocka_unit_test(http2_takes_the_preface),      cmocka_unit_test(xmpp_takes_openings),
        cmocka_unit_test(ssh_takes_identifications),    cmocka_unit_test(tls_fills_the_sight),
        cmocka_unit_test(protocols_exclude_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
