#include "gateway/refusal.h"

#include "gateway/gateway_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/gateway/sample.h"

enum { TEXT_BYTES = REFUSAL_MAX_BYTES + 1 };

static const struct refusal *row(const char *name)
{
    const struct refusal *refusal = refusal_find(name);
    assert_non_null(refusal);
    return refusal;
}

/* A copy of its own size, so that the sanitizer sees a read beyond it. */
static uint8_t *copy_of(const void *data, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    if (len > 0) memcpy(copy, data, len);
    return copy;
}

static enum probe_verdict look(const char *name, const void *data, size_t len, bool final)
{
    uint8_t *copy = copy_of(data, len);
    struct sight sight = {.data = copy, .len = len, .final = final};
    enum probe_verdict verdict = refusal_look(row(name), &sight);
    free(copy);
    return verdict;
}

/* The answer as a string in out (TEXT_BYTES), which must fit what is seen. */
static char *answer_to(const char *name, const void *data, size_t len, bool final, char *out)
{
    uint8_t *copy = copy_of(data, len);
    struct sight sight = {.data = copy, .len = len, .final = final};
    struct refusal_answer answer = {0};
    assert_int_equal(refusal_look(row(name), &sight), PROBE_MATCH);
    row(name)->compose(&sight, &answer);
    assert_null(memchr(answer.data, '\0', strcmp(row(name)->protocol, "tls") == 0 ? 0 : answer.len));
    memcpy(out, answer.data, answer.len);
    out[answer.len] = '\0';
    free(copy);
    return out;
}

static void the_option_has_every_row_and_no_other(void **state)
{
    (void)state;
    const char *choices = NULL;
    for (size_t i = 0; i < GATEWAY_OPTION_COUNT; i++) {
        if (strcmp(GATEWAY_OPTIONS[i].section, "route") == 0 && strcmp(GATEWAY_OPTIONS[i].name, "refuse") == 0)
            choices = GATEWAY_OPTIONS[i].choices;
    }
    assert_non_null(choices);
    char known[512] = "";
    for (size_t i = 0; i < REFUSAL_COUNT; i++) {
        strcat(known, i == 0 ? "" : "|");
        strcat(known, REFUSALS[i].name);
        assert_ptr_equal(refusal_find(REFUSALS[i].name), &REFUSALS[i]);
        assert_int_equal(REFUSALS[i].protocol != NULL, REFUSALS[i].compose != NULL);
        if (REFUSALS[i].protocol != NULL) assert_true(probe_find(REFUSALS[i].protocol) >= 0);
    }
    assert_string_equal(choices, known);
    assert_null(refusal_find(""));
    assert_null(refusal_find("Close"));
}

/* For every sample and refusal: the verdict for a prefix is "more" or the one for the whole, and final is final. */
static void split_looks(const struct sample *sample)
{
    for (size_t i = 0; i < REFUSAL_COUNT; i++) {
        const char *name = REFUSALS[i].name;
        enum probe_verdict whole = look(name, sample->data, sample->len, false);
        for (size_t len = 0; len < sample->len; len++) {
            enum probe_verdict verdict = look(name, sample->data, len, false);
            enum probe_verdict at_end = look(name, sample->data, len, true);
            assert_int_not_equal(at_end, PROBE_MORE);
            assert_true(verdict == PROBE_MORE || (verdict == whole && verdict == at_end));
            /* Whatever was cut off, there is an answer, and it fits into the room. */
            char text[TEXT_BYTES];
            if (at_end == PROBE_MATCH) answer_to(name, sample->data, len, true, text);
        }
    }
}

static void looks_do_not_depend_on_cuts(void **state)
{
    (void)state;
    assert_true(sample_each(split_looks) >= 40);
}

static void words_are_for_their_protocol(void **state)
{
    (void)state;
    static const char HTTP[] = "GET / HTTP/1.1\r\n\r\n", SSH[] = "SSH-2.0-x\r\n";
    static const char XMPP[] = "<?xml version='1.0'?><stream:stream>", PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    assert_int_equal(look("http-400", HTTP, 18, false), PROBE_MATCH);
    assert_int_equal(look("http-400", HTTP, 14, false), PROBE_MATCH);
    assert_int_equal(look("http-400", HTTP, 3, false), PROBE_MORE);
    assert_int_equal(look("https-redirect", HTTP, 17, false), PROBE_MORE);
    assert_int_equal(look("https-redirect", HTTP, 17, true), PROBE_MATCH);
    assert_int_equal(look("https-redirect", HTTP, 18, false), PROBE_MATCH);
    assert_int_equal(look("xmpp-error", XMPP, 35, false), PROBE_MORE);
    assert_int_equal(look("xmpp-error", XMPP, 35, true), PROBE_MATCH);
    assert_int_equal(look("xmpp-error", XMPP, 36, false), PROBE_MATCH);
    for (size_t i = 0; i < REFUSAL_COUNT; i++) {
        const char *name = REFUSALS[i].name, *protocol = REFUSALS[i].protocol;
        assert_int_equal(look(name, SSH, 11, false), PROBE_NO);
        assert_int_equal(look(name, PREFACE, 24, false), PROBE_NO);
        if (protocol == NULL || strcmp(protocol, "http") != 0) assert_int_equal(look(name, HTTP, 18, false), PROBE_NO);
        if (protocol == NULL || strcmp(protocol, "xmpp") != 0) assert_int_equal(look(name, XMPP, 36, false), PROBE_NO);
    }
}

static void alerts_have_the_right_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        size_t cut;
        uint8_t minor;
    } ROWS[] = {
        {"real_openssl_xmpp", 0, 3}, {"good_tls10", 0, 1},         {"real_openssl_tls12_noname", 0, 3},
        {"good_two_records", 0, 3},  {"real_openssl_xmpp", 20, 3},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct sample sample = sample_load(ROWS[i].file);
        size_t len = ROWS[i].cut > 0 ? ROWS[i].cut : sample.len;
        char text[TEXT_BYTES];
        const uint8_t name[] = {21, 3, ROWS[i].minor, 0, 2, 2, 112}, alpn[] = {21, 3, ROWS[i].minor, 0, 2, 2, 120};
        answer_to("tls-unrecognized-name", sample.data, len, ROWS[i].cut > 0, text);
        assert_memory_equal(text, name, sizeof(name));
        answer_to("tls-no-application-protocol", sample.data, len, ROWS[i].cut > 0, text);
        assert_memory_equal(text, alpn, sizeof(alpn));
        free(sample.data);
    }
}

static void xmpp_answers_in_the_clients_namespace(void **state)
{
    (void)state;
    static const struct {
        const char *text, *namespace;
    } ROWS[] = {
        {"<?xml version='1.0'?><stream:stream xmlns='jabber:client' to='a'>", "jabber:client"},
        {"<stream:stream to=\"a\" xmlns=\"jabber:server\">", "jabber:server"},
        {"<stream:stream xmlns='jabber:server'>", "jabber:server"},
        {"<stream:stream xmlns='jabber:servers'>", "jabber:client"},
        {"<stream:stream><a xmlns='jabber:server'>", "jabber:client"},
        {"<stream:stream", "jabber:client"},
        {"<?xml", "jabber:client"},
    };
    char first[TEXT_BYTES], again[TEXT_BYTES], wanted[64];
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        answer_to("xmpp-error", ROWS[i].text, strlen(ROWS[i].text), true, first);
        snprintf(wanted, sizeof(wanted), " xmlns='%s' ", ROWS[i].namespace);
        assert_non_null(strstr(first, wanted));
        assert_non_null(strstr(first, "<policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"));
        assert_string_equal(first + strlen(first) - 16, "</stream:stream>");
    }
    /* Stream ids do not repeat. */
    answer_to("xmpp-error", ROWS[0].text, strlen(ROWS[0].text), true, again);
    assert_string_not_equal(first, again);
}

static void http_400_is_complete(void **state)
{
    (void)state;
    static const char GET[] = "GET / HTTP/1.1\r\n", HEAD[] = "HEAD / HTTP/1.1\r\n";
    char text[TEXT_BYTES];
    answer_to("http-400", GET, sizeof(GET) - 1, false, text);
    assert_memory_equal(text, "HTTP/1.1 400 Bad Request\r\nDate: ", 32);
    assert_non_null(strstr(text, " GMT\r\nConnection: close\r\n"));
    assert_non_null(strstr(text, "\r\nContent-Length: 12\r\n"));
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\nBad Request\n");
    answer_to("http-400", HEAD, sizeof(HEAD) - 1, false, text);
    assert_non_null(strstr(text, "\r\nContent-Length: 12\r\n"));
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
}

/* The place that a request is sent to, or "400"; in out. */
static const char *place_of(const char *request, size_t len, char *out)
{
    answer_to("https-redirect", request, len, true, out);
    const char *end = strstr(out, "\r\n\r\n");
    assert_non_null(end);
    if (strncmp(out, "HTTP/1.1 400 ", 13) == 0) {
        assert_null(strstr(out, "\r\nLocation:"));
        return "400";
    }
    assert_true(strncmp(out, "HTTP/1.1 301 ", 13) == 0 || strncmp(out, "HTTP/1.1 308 ", 13) == 0);
    /* One response, and nothing behind its head. */
    assert_string_equal(end, "\r\n\r\n");
    assert_non_null(strstr(out, "\r\nContent-Length: 0\r\n"));
    char *place = strstr(out, "\r\nLocation: ");
    assert_non_null(place);
    place += strlen("\r\nLocation: ");
    place[strcspn(place, "\r\n")] = '\0';
    assert_true(place + strlen(place) == end);
    return place;
}

static const struct {
    const char *target, *host, *place;
} REDIRECTS[] = {
    {"/", "www.example.test", "https://www.example.test/"},
    {"/a/b?c=d&e=%2F", "WWW.Example.test.", "https://www.example.test/a/b?c=d&e=%2F"},
    {"/", "a.test:80", "https://a.test/"},
    {"/", "a.test:443", "https://a.test/"},
    {"/", "a.test:", "https://a.test/"},
    {"/", "a.test:8443", "https://a.test:8443/"},
    {"/", "a.test:00080", "https://a.test/"},
    {"/", "192.0.2.1", "https://192.0.2.1/"},
    {"/x", "[2001:DB8::0:1]:8080", "https://[2001:db8::1]:8080/x"},
    {"/x", "[::1]", "https://[::1]/x"},
    {"/?q=[a]|{b}^", "a_b.test", "https://a_b.test/?q=[a]|{b}^"},
    {"//evil.test/x", "a.test", "https://a.test//evil.test/x"},
    {"/@evil.test", "a.test", "https://a.test/@evil.test"},
    {"http://a.test/x?y", "a.test", "https://a.test/x?y"},
    {"HTTP://A.test:80/", "a.test", "https://a.test/"},
    {"http://a.test", "a.test", "https://a.test/"},
    {"http://a.test?x", "a.test", "https://a.test/?x"},
    {"http://[::1]/", "[0::1]", "https://[::1]/"},
    /* hosts that are none */
    {"/", "", "400"},
    {"/", " ", "400"},
    {"/", ".", "400"},
    {"/", "..", "400"},
    {"/", ".a.test", "400"},
    {"/", "a..test", "400"},
    {"/", "a.test..", "400"},
    {"/", "evil.test/a.test", "400"},
    {"/", "evil.test?a.test", "400"},
    {"/", "evil.test#a.test", "400"},
    {"/", "evil.test\\a.test", "400"},
    {"/", "a.test@evil.test", "400"},
    {"/", "a.test:80@evil.test", "400"},
    {"/", "a.test, evil.test", "400"},
    {"/", "a.test evil.test", "400"},
    {"/", "a%2etest", "400"},
    {"/", "\"a.test\"", "400"},
    {"/", "<script>", "400"},
    {"/", "b\xc3\xbc.test", "400"},
    {"/", "a.test:0", "400"},
    {"/", "a.test:65536", "400"},
    {"/", "a.test:123456", "400"},
    {"/", "a.test:80a", "400"},
    {"/", "a.test:-1", "400"},
    {"/", "a.test:80:80", "400"},
    {"/", ":80", "400"},
    {"/", "::1", "400"},
    {"/", "[", "400"},
    {"/", "[]", "400"},
    {"/", "[::1", "400"},
    {"/", "[::1]a", "400"},
    {"/", "[::1]:x", "400"},
    {"/", "[::1%25eth0]", "400"},
    {"/", "[v1.x]", "400"},
    {"/", "[a.test]", "400"},
    {"/", "[192.0.2.1]", "400"},
    {"/", "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc]", "400"},
    {"/", "a.test\rX: y", "400"},
    {"/", "a.test\nX: y", "400"},
    {"/", "a.test\r\n Y: z", "400"},
    {"/", "a.test\r\nHost: evil.test", "400"},
    {"/", "a.test\r\nHost: a.test", "400"},
    {"/", "a\ttest", "400"},
    /* targets that are none */
    {"*", "a.test", "400"},
    {"a.test:443", "a.test", "400"},
    {"x", "a.test", "400"},
    {"/\"onload=", "a.test", "400"},
    {"/<script>", "a.test", "400"},
    {"/\\evil.test", "a.test", "400"},
    {"/#x", "a.test", "400"},
    {"/`", "a.test", "400"},
    {"/%", "a.test", "400"},
    {"/%4", "a.test", "400"},
    {"/%4g", "a.test", "400"},
    {"/%0d%0aX:%20y", "a.test", "https://a.test/%0d%0aX:%20y"},
    {"/\xc3\xbc", "a.test", "400"},
    {"/a\x01", "a.test", "400"},
    {"http://evil.test/", "a.test", "400"},
    {"http://evil.test", "a.test", "400"},
    {"http://a.test@evil.test/", "a.test", "400"},
    {"http://a.test:8080/", "a.test", "400"},
    {"http:///x", "a.test", "400"},
    {"http://", "a.test", "400"},
    {"http:/x", "a.test", "400"},
    {"https://a.test/", "a.test", "400"},
    {"ftp://a.test/", "a.test", "400"},
    {"javascript:alert(1)", "a.test", "400"},
};

static void redirects_go_nowhere_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(REDIRECTS); i++) {
        char request[512], text[TEXT_BYTES];
        int len = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nAccept: *\r\nHost: %s\r\n\r\n",
                           REDIRECTS[i].target, REDIRECTS[i].host);
        print_message("%s", request);
        /* "/a\x01" and the like are not HTTP for the probe: then there are no words at all. */
        if (look("https-redirect", request, (size_t)len, true) == PROBE_NO)
            assert_string_equal(REDIRECTS[i].place, "400");
        else
            assert_string_equal(place_of(request, (size_t)len, text), REDIRECTS[i].place);
    }
}

/* Cut anywhere, a request is more than it was or what it is; what never gets whole is a 400. */
static void redirects_do_not_depend_on_cuts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(REDIRECTS); i++) {
        char request[512], text[TEXT_BYTES];
        int whole = snprintf(request, sizeof(request), "POST %s HTTP/1.0\r\nHost: %s\r\n\r\nbody\r\n\r\nmore",
                             REDIRECTS[i].target, REDIRECTS[i].host);
        enum probe_verdict verdict = look("https-redirect", request, (size_t)whole, false);
        for (size_t len = 0; len <= (size_t)whole; len++) {
            enum probe_verdict cut = look("https-redirect", request, len, false);
            assert_true(cut == PROBE_MORE || cut == verdict);
            if (cut == PROBE_MATCH)
                assert_string_equal(place_of(request, len, text), REDIRECTS[i].place);
            else if (cut == PROBE_MORE && look("https-redirect", request, len, true) == PROBE_MATCH)
                assert_string_equal(place_of(request, len, text), "400");
        }
    }
}

static void the_method_chooses_the_status(void **state)
{
    (void)state;
    static const struct {
        const char *method, *status;
    } ROWS[] = {{"GET", "301"}, {"HEAD", "301"}, {"POST", "308"}, {"GETS", "308"}, {"HEADER", "308"}, {"G", "308"}};
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        char request[128], text[TEXT_BYTES];
        int len = snprintf(request, sizeof(request), "%s / HTTP/1.1\r\nHost: a\r\n\r\n", ROWS[i].method);
        answer_to("https-redirect", request, (size_t)len, false, text);
        assert_memory_equal(text + 9, ROWS[i].status, 3);
    }
    static const char NO_HOST[] = "GET / HTTP/1.0\r\n\r\n";
    char text[TEXT_BYTES];
    assert_string_equal(place_of(NO_HOST, sizeof(NO_HOST) - 1, text), "400");
}

static void long_targets_have_a_limit(void **state)
{
    (void)state;
    enum { HOST_BYTES = 255 };
    char host[HOST_BYTES + 1], request[REFUSAL_TARGET_MAX_BYTES + 512], text[TEXT_BYTES];
    memset(host, 'h', HOST_BYTES);
    host[HOST_BYTES] = '\0';
    for (size_t over = 0; over <= 1; over++) {
        size_t target = REFUSAL_TARGET_MAX_BYTES + over;
        memset(request, 'a', sizeof(request));
        memcpy(request, "GET /", 5);
        int rest =
            snprintf(request + 4 + target, sizeof(request) - 4 - target, " HTTP/1.1\r\nHost: %s:65535\r\n\r\n", host);
        const char *place = place_of(request, 4 + target + (size_t)rest, text);
        if (over == 0)
            assert_int_equal(strlen(place), strlen("https://") + HOST_BYTES + strlen(":65535") + target);
        else
            assert_string_equal(place, "400");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_option_has_every_row_and_no_other),
        cmocka_unit_test(looks_do_not_depend_on_cuts),
        cmocka_unit_test(words_are_for_their_protocol),
        cmocka_unit_test(alerts_have_the_right_bytes),
        cmocka_unit_test(xmpp_answers_in_the_clients_namespace),
        cmocka_unit_test(http_400_is_complete),
        cmocka_unit_test(redirects_go_nowhere_else),
        cmocka_unit_test(redirects_do_not_depend_on_cuts),
        cmocka_unit_test(the_method_chooses_the_status),
        cmocka_unit_test(long_targets_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
