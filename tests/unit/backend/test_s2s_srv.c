#include "backend/s2s_srv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static enum s2s_srv_kind parse(const char *data, size_t len, struct s2s_srv *out)
{
    return s2s_srv_parse((const uint8_t *)data, len, out);
}

#define PARSE(text, out) parse(text, sizeof(text) - 1, out)

static void test_parse(void **state)
{
    struct s2s_srv srv;
    (void)state;
    assert_int_equal(PARSE("\0\1\1\2\x14\x95\1B\7eXample\0", &srv), S2S_SRV_HOST);
    assert_int_equal(srv.priority, 1);
    assert_int_equal(srv.weight, 0x102);
    assert_int_equal(srv.port, 5269);
    assert_string_equal(srv.target, "b.example");
    assert_int_equal(PARSE("\0\0\0\0\0\0\0", &srv), S2S_SRV_NONE);
    assert_int_equal(PARSE("\0\0\0\0\x14\x95\0", &srv), S2S_SRV_NONE);
    assert_int_equal(PARSE("\0\1\0\1\0\0\1b\0", &srv), S2S_SRV_UNUSABLE); /* port 0 */
}

static void test_malformed(void **state)
{
    static const char GOOD[] = "\0\1\0\1\x14\x95\1b\7example";
    struct s2s_srv srv;
    char longest[6 + 64 * 4 + 1];
    (void)state;
    for (size_t len = 0; len < sizeof(GOOD) - 1; len++)
        assert_int_equal(parse(GOOD, len, &srv), S2S_SRV_UNUSABLE);
    assert_int_equal(parse(GOOD, sizeof(GOOD), &srv), S2S_SRV_HOST);
    assert_int_equal(PARSE("\0\1\0\1\x14\x95\1b\0x", &srv), S2S_SRV_UNUSABLE);       /* more behind the name */
    assert_int_equal(PARSE("\0\1\0\1\x14\x95\1b\xc0\6", &srv), S2S_SRV_UNUSABLE);    /* compressed */
    assert_int_equal(PARSE("\0\1\0\1\x14\x95\3a.b\0", &srv), S2S_SRV_UNUSABLE);      /* a dot in a label */
    assert_int_equal(PARSE("\0\1\0\1\x14\x95\3a\0b\0", &srv), S2S_SRV_UNUSABLE);     /* a NUL */
    assert_int_equal(PARSE("\0\1\0\1\x14\x95\2\xc3\xa9\0", &srv), S2S_SRV_UNUSABLE); /* not ASCII */
    assert_int_equal(PARSE("\0\1\0\1\x14\x95\3a b\0", &srv), S2S_SRV_UNUSABLE);
    assert_int_equal(PARSE("\0\1\0\1\x14\x95\3a/b\0", &srv), S2S_SRV_UNUSABLE);
    memset(longest, 'x', sizeof(longest));
    for (size_t label = 0; label < 4; label++)
        longest[6 + 64 * label] = 63;
    longest[sizeof(longest) - 1] = 0;
    assert_int_equal(parse(longest, sizeof(longest), &srv), S2S_SRV_UNUSABLE);
}

static uint32_t lowest(uint32_t most)
{
    (void)most;
    return 0;
}

static uint32_t highest(uint32_t most)
{
    return most;
}

static void fill(struct s2s_srv *srv, uint16_t priority, uint16_t weight, const char *target)
{
    *srv = (struct s2s_srv){.priority = priority, .weight = weight, .port = 5269};
    snprintf(srv->target, sizeof(srv->target), "%s", target);
}

static void check_order(const struct s2s_srv *records, size_t count, const char *expected)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(records[i].target[0], expected[i]);
}

/* Conforms: XEP-0368, 3: records of both services are one list by priority */
static void test_priorities(void **state)
{
    struct s2s_srv records[4];
    (void)state;
    fill(&records[0], 20, 100, "c");
    fill(&records[1], 10, 5, "b");
    fill(&records[2], 65535, 0, "d");
    fill(&records[3], 0, 0, "a");
    records[3].direct_tls = true; /* both services are one list */
    s2s_srv_order(records, 4, s2s_srv_chance);
    check_order(records, 4, "abcd");
    assert_true(records[0].direct_tls);
    s2s_srv_order(records, 0, s2s_srv_chance);
    s2s_srv_order(records, 1, s2s_srv_chance);
}

static void test_weights(void **state)
{
    struct s2s_srv records[3];
    unsigned heavy_first = 0, light_first = 0, none_first = 0;
    (void)state;
    fill(&records[0], 1, 10, "x");
    fill(&records[1], 1, 0, "y");
    fill(&records[2], 1, 90, "z");
    s2s_srv_order(records, 3, lowest);
    assert_string_equal(records[0].target, "y"); /* a weight of 0 comes first, or it had no chance */
    s2s_srv_order(records, 3, highest);
    assert_string_equal(records[2].target, "y");
    for (int i = 0; i < 10000; i++) {
        s2s_srv_order(records, 3, s2s_srv_chance);
        heavy_first += records[0].target[0] == 'z';
        light_first += records[0].target[0] == 'x';
        none_first += records[0].target[0] == 'y';
    }
    assert_in_range(heavy_first, 8600, 9200); /* 89.1 % are expected */
    assert_in_range(light_first, 750, 1250);
    assert_in_range(none_first, 40, 180);
}

/* The largest weights there can be do not run over. */
static void test_sum(void **state)
{
    static struct s2s_srv records[128];
    (void)state;
    for (size_t i = 0; i < 128; i++)
        fill(&records[i], 1, UINT16_MAX, "x");
    s2s_srv_order(records, 128, highest);
    for (uint32_t most = 0; most < 5; most++)
        for (int i = 0; i < 100; i++)
            assert_in_range(s2s_srv_chance(most), 0, most);
    (void)s2s_srv_chance(UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),   cmocka_unit_test(test_malformed), cmocka_unit_test(test_priorities),
        cmocka_unit_test(test_weights), cmocka_unit_test(test_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
