#include "lib/socks5.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

/* What a proxy says, step by step, and what becomes of it. */
struct story {
    const char *user; /* NULL: none */
    const char *said[4];
    size_t lens[4];
    enum socks5_verdict verdict;
    const char *why;
};

#define SAID(text) text, sizeof(text) - 1

/* Give the answer of a step in pieces of the wanted size at most, cut at each place that cut has a bit for. */
static enum socks5_verdict give(struct socks5 *s, const char *bytes, size_t len, size_t piece)
{
    enum socks5_verdict verdict = SOCKS5_MORE;
    while (len > 0 && verdict == SOCKS5_MORE) {
        size_t n = len < piece ? len : piece;
        if (n > s->want) n = s->want;
        assert_true(n > 0);
        verdict = socks5_take(s, (const uint8_t *)bytes, n);
        bytes += n;
        len -= n;
    }
    assert_int_equal(len, 0);
    return verdict;
}

static void check(const struct story *story)
{
    for (size_t piece = 1; piece < 300; piece++) {
        struct socks5 s;
        enum socks5_verdict verdict = SOCKS5_MORE;
        assert_int_equal(socks5_begin(&s, "b.example", 5269, story->user), 0);
        for (size_t i = 0; i < 4 && story->lens[i] > 0; i++) {
            assert_true(s.out_len > 0);
            assert_int_equal(verdict, SOCKS5_MORE);
            s.out_len = 0;
            verdict = give(&s, story->said[i], story->lens[i], piece);
        }
        assert_int_equal(verdict, story->verdict);
        if (story->why) assert_non_null(strstr(s.why, story->why));
        assert_int_equal(s.want, 0);
    }
}

static void test_stories(void **state)
{
    static const struct story STORIES[] = {
        {NULL, {"\5\0", "\5\0\0\1\0\0\0\0\0\0"}, {2, 10}, SOCKS5_DONE, NULL},
        {NULL, {"\5\0", "\5\0\0\4................\x14\x95"}, {2, 22}, SOCKS5_DONE, NULL},
        {NULL, {"\5\0", "\5\0\0\3\0\x14\x95"}, {2, 7}, SOCKS5_DONE, NULL},
        {NULL, {"\5\0", "\5\0\0\3\11b.example\x14\x95"}, {2, 16}, SOCKS5_DONE, NULL},
        {"u", {"\5\2", "\1\0", "\5\0\0\1\0\0\0\0\0\0"}, {2, 2, 10}, SOCKS5_DONE, NULL},
        {"u", {"\5\0", "\5\0\0\1\0\0\0\0\0\0"}, {2, 10}, SOCKS5_DONE, NULL},
        {"u", {"\5\2", "\1\1"}, {2, 2}, SOCKS5_BROKEN, "user name"},
        {NULL, {"\5\2"}, {2}, SOCKS5_BROKEN, "authentication"},
        {"u", {"\5\xff"}, {2}, SOCKS5_BROKEN, "authentication"},
        {"u", {"\5\1"}, {2}, SOCKS5_BROKEN, "authentication"},
        {NULL, {"\4\0"}, {2}, SOCKS5_BROKEN, "not a SOCKS5 proxy"},
        {NULL, {"HT"}, {2}, SOCKS5_BROKEN, "not a SOCKS5 proxy"},
        {NULL, {"\5\0", "\4\0"}, {2, 2}, SOCKS5_BROKEN, "understood"},
        {NULL, {"\5\0", "\5\0\0\2x"}, {2, 5}, SOCKS5_BROKEN, "understood"},
        {NULL, {"\5\0", "\5\1"}, {2, 2}, SOCKS5_REFUSED, "general failure"},
        {NULL, {"\5\0", "\5\2"}, {2, 2}, SOCKS5_BROKEN, "not allowed"},
        {NULL, {"\5\0", "\5\4"}, {2, 2}, SOCKS5_REFUSED, "host unreachable"},
        {NULL, {"\5\0", "\5\5"}, {2, 2}, SOCKS5_REFUSED, "connection refused"},
        {NULL, {"\5\0", "\5\xf0"}, {2, 2}, SOCKS5_REFUSED, "not known now"},
        {NULL, {"\5\0", "\5\x77"}, {2, 2}, SOCKS5_REFUSED, "unknown"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(STORIES); i++)
        check(&STORIES[i]);
}

static void check_out(struct socks5 *s, const char *bytes, size_t len)
{
    assert_int_equal(s->out_len, len);
    assert_memory_equal(s->out, bytes, len);
    s->out_len = 0;
}

static void test_what_is_sent(void **state)
{
    struct socks5 s;
    (void)state;
    assert_int_equal(socks5_begin(&s, "b.example", 5269, NULL), 0);
    check_out(&s, SAID("\5\1\0"));
    socks5_take(&s, (const uint8_t *)"\5\0", 2);
    check_out(&s, SAID("\5\1\0\3\11b.example\x14\x95"));
    assert_int_equal(socks5_begin(&s, "192.0.2.1", 80, "someone"), 0);
    check_out(&s, SAID("\5\2\2\0"));
    socks5_take(&s, (const uint8_t *)"\5\2", 2);
    check_out(&s, SAID("\1\7someone\7postern"));
    socks5_take(&s, (const uint8_t *)"\1\0", 2);
    check_out(&s, SAID("\5\1\0\1\xc0\0\2\1\0\x50"));
    assert_int_equal(socks5_begin(&s, "2001:db8::1", 1, NULL), 0);
    s.out_len = 0;
    socks5_take(&s, (const uint8_t *)"\5\0", 2);
    check_out(&s, SAID("\5\1\0\4\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0\1"));
}

static void test_limits(void **state)
{
    char name[SOCKS5_NAME_MAX_BYTES + 2];
    struct socks5 s;
    (void)state;
    memset(name, 'x', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(socks5_begin(&s, name, 1, NULL), -1);
    assert_int_equal(socks5_begin(&s, "x", 1, name), -1);
    assert_int_equal(socks5_begin(&s, "", 1, NULL), -1);
    assert_int_equal(socks5_begin(&s, "x", 1, ""), -1);
    name[SOCKS5_NAME_MAX_BYTES] = '\0';
    assert_int_equal(socks5_begin(&s, name, 1, name), 0);
    s.out_len = 0;
    assert_int_equal(socks5_take(&s, (const uint8_t *)"\5\2", 2), SOCKS5_MORE);
    assert_int_equal(s.out_len, 1 + 1 + 255 + 1 + 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stories),
        cmocka_unit_test(test_what_is_sent),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
