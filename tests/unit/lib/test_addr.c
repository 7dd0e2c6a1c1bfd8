#include "lib/addr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct addr addr_of(const char *text)
{
    struct endpoint e;
    const char *why = NULL;
    if (endpoint_parse(text, &e, &why) != 0) fail_msg("%s: %s", text, why);
    return e.ip;
}

static const char *format(const char *text, enum addr_mode mode)
{
    static char out[ADDR_TEXT_BYTES];
    struct addr a = addr_of(text);
    return addr_format(&a, mode, out, sizeof(out));
}

static void test_parse_and_format(void **state)
{
    (void)state;
    static const char *const same[] = {
        "192.0.2.1:443",
        "[2001:db8::1]:5222",
        "*:443",
        "[*]:443",
        "127.0.0.1:0",
        "255.255.255.255:65535",
        "[::1]:1",
        "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
        "unix:/run/postern/inlet.sock",
    };
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        struct endpoint e;
        const char *why = NULL;
        char out[ENDPOINT_TEXT_BYTES];
        assert_int_equal(endpoint_parse(same[i], &e, &why), 0);
        assert_string_equal(endpoint_format(&e, out, sizeof(out)), same[i]);
    }
}

static void test_parse_makes_socket_addresses(void **state)
{
    (void)state;
    struct endpoint e;
    const char *why;
    assert_int_equal(endpoint_parse("*:443", &e, &why), 0);
    assert_int_equal(e.len, sizeof(struct sockaddr_in));
    assert_int_equal(e.sa.sa_family, AF_INET);
    assert_int_equal(e.ip.in.sin_addr.s_addr, htonl(INADDR_ANY));
    assert_int_equal(ntohs(e.ip.in.sin_port), 443);
    assert_int_equal(endpoint_parse("[*]:443", &e, &why), 0);
    assert_int_equal(e.len, sizeof(struct sockaddr_in6));
    assert_int_equal(e.sa.sa_family, AF_INET6);
    assert_memory_equal(&e.ip.in6.sin6_addr, &in6addr_any, sizeof(in6addr_any));
    assert_int_equal(endpoint_parse("unix:/a", &e, &why), 0);
    assert_int_equal(e.len, offsetof(struct sockaddr_un, sun_path) + 3);
    assert_string_equal(e.un.sun_path, "/a");
}

static void test_overlaps(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool overlap;
    } rows[] = {
        {"127.0.0.1:1", "127.0.0.1:1", true},
        {"127.0.0.1:1", "127.0.0.1:2", false},
        {"127.0.0.1:1", "127.0.0.2:1", false},
        {"*:1", "127.0.0.1:1", true},
        {"*:1", "127.0.0.1:2", false},
        {"[*]:1", "[::1]:1", true},
        {"[::1]:1", "[::2]:1", false},
        {"*:1", "[*]:1", false},
        {"*:0", "*:0", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct endpoint a, b;
        const char *why = NULL;
        assert_int_equal(endpoint_parse(rows[i].a, &a, &why), 0);
        assert_int_equal(endpoint_parse(rows[i].b, &b, &why), 0);
        if (addr_overlaps(&a.ip, &b.ip) != rows[i].overlap || addr_overlaps(&b.ip, &a.ip) != rows[i].overlap)
            fail_msg("%s and %s", rows[i].a, rows[i].b);
    }
}

static void test_parse_refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        ":",
        ":443",
        "443",
        "192.0.2.1",
        "192.0.2.1:",
        "192.0.2.1:65536",
        "192.0.2.1:-1",
        "192.0.2.1:+1",
        "192.0.2.1: 1",
        "192.0.2.1:443x",
        "192.0.2.1:000443",
        "192.0.2:443",
        "192.0.2.256:443",
        "example.com:443",
        "::1:443",
        "[::1]",
        "[::1]443",
        "[::1:443",
        "[:443",
        "[]:443",
        "[",
        "]:443",
        "[192.0.2.1]:443",
        "[fe80::1%eth0]:443",
        "**:443",
        "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:443",
        "unix:",
        "unix:relative",
        "unix",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct endpoint e;
        const char *why = NULL;
        if (endpoint_parse(bad[i], &e, &why) != -1) fail_msg("accepted: %s", bad[i]);
        assert_non_null(why);
    }
}

static void test_unix_path_length(void **state)
{
    (void)state;
    char text[5 + 108 + 1] = "unix:/";
    char out[ENDPOINT_TEXT_BYTES];
    struct endpoint e;
    const char *why = NULL;
    memset(text + 6, 'a', 106);
    assert_int_equal(strlen(text), 5 + 107);
    assert_int_equal(endpoint_parse(text, &e, &why), 0);
    assert_int_equal(e.len, sizeof(struct sockaddr_un));
    assert_string_equal(endpoint_format(&e, out, sizeof(out)), text);
    text[5 + 107] = 'a';
    assert_int_equal(endpoint_parse(text, &e, &why), -1);
    assert_non_null(strstr(why, "107"));
}

static void test_modes(void **state)
{
    (void)state;
    assert_string_equal(format("192.0.2.77:443", ADDR_FULL), "192.0.2.77:443");
    assert_string_equal(format("192.0.2.77:443", ADDR_MASKED), "192.0.2.0/24");
    assert_string_equal(format("192.0.2.77:443", ADDR_NONE), "-");
    assert_string_equal(format("[2001:db8:1:2:3:4:5:6]:443", ADDR_MASKED), "2001:db8:1::/48");
    assert_string_equal(format("[2001:db8:1:2:3:4:5:6]:443", ADDR_NONE), "-");
}

static void test_unknown(void **state)
{
    (void)state;
    struct addr a = {0}, b = {0};
    char out[ADDR_TEXT_BYTES];
    assert_string_equal(addr_format(&a, ADDR_FULL, out, sizeof(out)), "unknown");
    assert_string_equal(addr_format(&a, ADDR_MASKED, out, sizeof(out)), "unknown");
    assert_string_equal(addr_format(&a, ADDR_NONE, out, sizeof(out)), "-");
    assert_string_equal(addr_format_host(&a, out, sizeof(out)), "unknown");
    assert_int_equal(addr_port(&a), 0);
    assert_true(addr_equal(&a, &b));
}

static void test_from_sockaddr(void **state)
{
    (void)state;
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(5222), .sin6_flowinfo = 99};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct addr a, v4 = addr_of("192.0.2.9:5222");
    assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.9", &mapped.sin6_addr), 1);
    addr_from_sockaddr(&a, (struct sockaddr *)&mapped, sizeof(mapped));
    assert_int_equal(a.sa.sa_family, AF_INET);
    assert_true(addr_equal(&a, &v4));
    assert_int_equal(inet_pton(AF_INET6, "2001:db8::1", &mapped.sin6_addr), 1);
    addr_from_sockaddr(&a, (struct sockaddr *)&mapped, sizeof(mapped));
    assert_int_equal(a.sa.sa_family, AF_INET6);
    assert_int_equal(addr_port(&a), 5222);
    addr_from_sockaddr(&a, (struct sockaddr *)&mapped, sizeof(mapped) - 1);
    assert_int_equal(a.sa.sa_family, AF_UNSPEC);
    addr_from_sockaddr(&a, (struct sockaddr *)&un, sizeof(un));
    assert_int_equal(a.sa.sa_family, AF_UNSPEC);
    addr_from_sockaddr(&a, NULL, 0);
    assert_int_equal(a.sa.sa_family, AF_UNSPEC);
}

static void test_equal(void **state)
{
    (void)state;
    struct addr a = addr_of("127.9.9.9:1"), b = addr_of("127.9.9.9:2"), c = addr_of("[::1]:1");
    struct addr d = addr_of("[::2]:1"), zone = c;
    zone.in6.sin6_scope_id = 3;
    assert_true(addr_equal(&a, &a));
    assert_true(addr_equal(&c, &c));
    assert_false(addr_equal(&a, &b));
    assert_false(addr_equal(&a, &c));
    assert_false(addr_equal(&c, &d));
    assert_false(addr_equal(&c, &zone));
}

static void test_kinds(void **state)
{
    static const struct {
        const char *text;
        bool loopback, any;
    } ROWS[] = {
        {"127.0.0.1:1", true, false},  {"127.255.0.9:1", true, false}, {"[::1]:1", true, false},
        {"0.0.0.0:1", false, true},    {"[::]:1", false, true},        {"128.0.0.1:1", false, false},
        {"126.9.9.9:1", false, false}, {"[::2]:1", false, false},      {"[7f00:1::]:1", false, false},
    };
    const struct addr unknown = {0};
    (void)state;
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct addr a = addr_of(ROWS[i].text);
        assert_int_equal(addr_is_loopback(&a), ROWS[i].loopback);
        assert_int_equal(addr_is_any(&a), ROWS[i].any);
    }
    assert_false(addr_is_loopback(&unknown));
    assert_false(addr_is_any(&unknown));
}

static void test_of_socket(void **state)
{
    const struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char text[ADDR_TEXT_BYTES];
    int fds[2];
    (void)state;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    struct addr own = addr_of_socket(fd);
    assert_string_equal(addr_format_host(&own, text, sizeof(text)), "127.0.0.1");
    assert_int_not_equal(addr_port(&own), 0);
    close(fd);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(addr_of_socket(fds[0]).sa.sa_family, AF_UNSPEC);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_and_format),
        cmocka_unit_test(test_parse_makes_socket_addresses),
        cmocka_unit_test(test_overlaps),
        cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_unix_path_length),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_from_sockaddr),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_of_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
