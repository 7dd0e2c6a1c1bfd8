#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/pp2.h"

#include <stdlib.h>
#include <string.h>

/* Decodes from memory that ends where the input does, so that reading beyond is seen. */
static ssize_t decode(const char *text, size_t len, struct pp2 *out, const char **why)
{
    uint8_t *copy = malloc(len + (len == 0));
    assert_non_null(copy);
    memcpy(copy, text, len);
    ssize_t n = pp1_decode(copy, len, out, why);
    free(copy);
    return n;
}

/* Accepted whole and whatever follows; more is asked for at every shorter length. */
static void assert_line(const char *line, const char *src, const char *dst)
{
    struct pp2 pp;
    const char *why = NULL;
    char text[ADDR_TEXT_BYTES], followed[256];
    size_t len = strlen(line);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(decode(line, cut, &pp, &why), 0);
    for (size_t i = 0; i < sizeof(followed); i++)
        followed[i] = i < len ? line[i] : 'x';
    assert_int_equal(decode(followed, sizeof(followed), &pp, &why), len);
    assert_int_equal(decode(line, len, &pp, &why), len);
    assert_string_equal(addr_format(&pp.src, ADDR_FULL, text, sizeof(text)), src);
    assert_string_equal(addr_format(&pp.dst, ADDR_FULL, text, sizeof(text)), dst);
    assert_false(pp.local);
    assert_int_equal(pp.tlv_count, 0);
}

static void test_lines(void **state)
{
    (void)state;
    assert_line("PROXY TCP4 192.0.2.1 192.0.2.2 1234 443\r\n", "192.0.2.1:1234", "192.0.2.2:443");
    assert_line("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535",
                "255.255.255.255:65535");
    assert_line("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0", "0.0.0.0:0");
    assert_line("PROXY TCP6 2001:DB8::1 ::1 1 2\r\n", "[2001:db8::1]:1", "[::1]:2");
    assert_line("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", "192.0.2.1:1", "[::1]:2");
    /* As Tor writes them: the circuit in the lower half. */
    assert_line("PROXY TCP6 fc00:dead:beef:4dad::1234:5678 ::1 65535 42\r\n", "[fc00:dead:beef:4dad::1234:5678]:65535",
                "[::1]:42");
    assert_line("PROXY UNKNOWN\r\n", "unknown", "unknown");
    assert_line("PROXY UNKNOWN whatever it says\r\n", "unknown", "unknown");
}

/* 107 bytes are the longest of all lines. */
static void test_longest(void **state)
{
    (void)state;
    const char longest[] = "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535"
                           "................................................\r\n";
    assert_int_equal(strlen(longest), PP1_MAX_BYTES - 1);
    assert_line(longest, "unknown", "unknown");
    assert_line("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
                "65535\r\n",
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}

static void assert_malformed(const char *line, size_t len)
{
    struct pp2 pp;
    const char *why = NULL;
    if (decode(line, len, &pp, &why) != -1) fail_msg("not refused: %s", line);
    assert_non_null(why);
    assert_int_equal(pp.src.sa.sa_family, AF_UNSPEC);
    assert_int_equal(pp.dst.sa.sa_family, AF_UNSPEC);
}

static void test_malformed(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "PROXY  TCP4 192.0.2.1 192.0.2.2 1234 443\r\n",
        "PROXY TCP4  192.0.2.1 192.0.2.2 1234 443\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1234 443 \r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1234 443 1\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1234\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2\r\n",
        "PROXY TCP4 192.0.2.1\r\n",
        "PROXY TCP4\r\n",
        "PROXY \r\n",
        "PROXY tcp4 192.0.2.1 192.0.2.2 1234 443\r\n",
        "PROXY TCP5 192.0.2.1 192.0.2.2 1234 443\r\n",
        "PROXY UDP4 192.0.2.1 192.0.2.2 1234 443\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY TCP4 192.0.2.01 192.0.2.2 1234 443\r\n",
        "PROXY TCP4 192.0.2.256 192.0.2.2 1234 443\r\n",
        "PROXY TCP4 192.0.2 192.0.2.2 1234 443\r\n",
        "PROXY TCP4 ::1 ::1 1234 443\r\n",
        "PROXY TCP6 192.0.2.1 192.0.2.2 1234 443\r\n",
        "PROXY TCP6 ::1 192.0.2.2 1234 443\r\n",
        "PROXY TCP6 ::1%lo ::1 1234 443\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 01234 443\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1234 65536\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1234 -1\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1234 +1\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1234 4 3\r\n",
        "PROXY TCP4 192.0.2.1\t192.0.2.2 1234 443\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1234 443\r\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1234 443\rx",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1234 443\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        assert_malformed(lines[i], strlen(lines[i]));
    static const char nul[] = "PROXY TCP4 192.0.2.1 192.0.2.2 1234 443\0\r\n";
    assert_malformed(nul, sizeof(nul) - 1);
    static const char nul_unknown[] = "PROXY UNKNOWN\0x\r\n";
    assert_malformed(nul_unknown, sizeof(nul_unknown) - 1);
}

/* What cannot become a line is refused without waiting for its end. */
static void test_refused_early(void **state)
{
    (void)state;
    assert_malformed("GET / HTTP/1.1", 3);
    assert_malformed("PROXX", 5);
    assert_malformed("proxy", 1);
    char endless[] = "PROXY TCP4                                                                                      "
                     "                           ";
    assert_true(sizeof(endless) > PP1_MAX_BYTES);
    assert_malformed(endless, PP1_MAX_BYTES - 1);
    assert_malformed(endless, PP1_MAX_BYTES - 2); /* no room for the line's end */
}

static void test_round_trips(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"192.0.2.1:65535", "198.51.100.2:1"}, {"[2001:db8::1]:5", "[::1]:443"}};
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct endpoint src, dst;
        struct pp2 pp = {0}, back;
        char line[PP1_MAX_BYTES];
        const char *why = NULL;
        assert_int_equal(endpoint_parse(pairs[i][0], &src, &why), 0);
        assert_int_equal(endpoint_parse(pairs[i][1], &dst, &why), 0);
        pp.src = src.ip;
        pp.dst = dst.ip;
        size_t len = pp1_encode(&pp, line);
        assert_int_equal(decode(line, len, &back, &why), len);
        assert_true(addr_equal(&pp.src, &back.src) && addr_equal(&pp.dst, &back.dst));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),         cmocka_unit_test(test_longest),     cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_refused_early), cmocka_unit_test(test_round_trips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
