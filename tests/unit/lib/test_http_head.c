#include "lib/http_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

/* A copy of its own size, so that the sanitizer sees a read beyond it. */
static uint8_t *copy_of(const char *text, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    for (size_t i = 0; i < len; i++)
        copy[i] = (uint8_t)text[i];
    return copy;
}

static void assert_text(struct http_text text, const char *wanted)
{
    assert_int_equal(text.len, strlen(wanted));
    assert_memory_equal(text.data, wanted, text.len);
}

static void a_request_is_read(void **state)
{
    (void)state;
    static const char TEXT[] = "M-SEARCH http://a/?b HTTP/1.0\r\naccept:\r\nhOSt: \t a.test:80 \t\r\nX: \x80\t\"\r\n"
                               "Hosts: b\r\n\r\nHost: c\r\n";
    uint8_t *copy = copy_of(TEXT, sizeof(TEXT) - 1);
    struct http_head head;
    assert_int_equal(http_head_parse(copy, sizeof(TEXT) - 1, &head), 0);
    assert_text(head.method, "M-SEARCH");
    assert_text(head.target, "http://a/?b");
    assert_true(head.has_host);
    assert_text(head.host, "a.test:80");
    free(copy);

    static const char BARE[] = "GET / HTTP/1.1\r\n\r\n", EMPTY[] = "GET / HTTP/1.1\r\nHost: \r\n\r\n";
    copy = copy_of(BARE, sizeof(BARE) - 1);
    assert_int_equal(http_head_parse(copy, sizeof(BARE) - 1, &head), 0);
    assert_false(head.has_host);
    free(copy);
    copy = copy_of(EMPTY, sizeof(EMPTY) - 1);
    assert_int_equal(http_head_parse(copy, sizeof(EMPTY) - 1, &head), 0);
    assert_true(head.has_host);
    assert_text(head.host, "");
    free(copy);
}

#define TEXT(literal)                                                                                                  \
    {                                                                                                                  \
        literal, sizeof(literal) - 1                                                                                   \
    }

static void malformed_heads_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len;
    } ROWS[] = {
        TEXT(""),
        TEXT("\r\n\r\n"),
        TEXT("\r\nGET / HTTP/1.1\r\n\r\n"),
        TEXT("GET / HTTP/1.1\n\n"),
        TEXT("GET / HTTP/1.1\r\n\n"),
        TEXT("GET / HTTP/1.1\r\nA: b\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\r\n\r\n"),
        TEXT("GET  / HTTP/1.1\r\n\r\n"),
        TEXT("GET / HTTP/1.1 \r\n\r\n"),
        TEXT("GET /a b HTTP/1.1\r\n\r\n"),
        TEXT("GET /a\tb HTTP/1.1\x7f\r\n\r\n"),
        TEXT("GET / HTTP/1.\r\n\r\n"),
        TEXT("GET / HTTP/1.x\r\n\r\n"),
        TEXT("GET / HTTP/1.10\r\n\r\n"),
        TEXT("GET / HTTP/2.0\r\n\r\n"),
        TEXT("GET / http/1.1\r\n\r\n"),
        TEXT("GET /\r\n\r\n"),
        TEXT("GET\r\n\r\n"),
        TEXT("G@T / HTTP/1.1\r\n\r\n"),
        TEXT(" GET / HTTP/1.1\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\n: a\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nA: b\r\n Host: a\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a\x1b[\r\n\r\n"),
        TEXT("GET /\0 HTTP/1.1\r\n\r\n"),
        TEXT("GET\0 / HTTP/1.1\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nA\0: b\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a\r\n\r"),
    };
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        print_message("%zu: %s\n", i, ROWS[i].text);
        uint8_t *copy = copy_of(ROWS[i].text, ROWS[i].len);
        struct http_head head;
        assert_int_equal(http_head_parse(copy, ROWS[i].len, &head), -1);
        free(copy);
    }
}

/* Complete at one point, at every point behind it, and at none before. */
static void completeness_is_the_first_empty_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t at; /* 0: never */
    } ROWS[] = {
        {"GET / HTTP/1.1\r\nA: b\r\n\r\nbody\r\n\r\n", 24},
        {"GET / HTTP/1.1\n\nmore", 16},
        {"GET / HTTP/1.1\r\n\nmore", 17},
        {"GET / HTTP/1.1\n\r\nmore", 17},
        {"GET / HTTP/1.1\r\n\rmore\r\n\r", 0},
        {"GET / HTTP/1.1\r\r\rmore", 0},
    };
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        for (size_t len = 0; len <= strlen(ROWS[i].text); len++) {
            uint8_t *copy = copy_of(ROWS[i].text, len);
            bool wanted = ROWS[i].at != 0 && len >= ROWS[i].at;
            assert_int_equal(http_head_complete(copy, len), wanted);
            free(copy);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_read),
        cmocka_unit_test(malformed_heads_are_refused),
        cmocka_unit_test(completeness_is_the_first_empty_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
