#include "gateway/destination.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void reads(const char *text, const char *back)
{
    struct destination one;
    const char *why = NULL;
    char out[DESTINATION_TEXT_BYTES];
    if (destination_parse(text, &one, &why) != 0) fail_msg("%s: %s", text, why);
    assert_string_equal(destination_format(&one, out, sizeof(out)), back);
}

static void refuses(const char *text, const char *part)
{
    struct destination one;
    const char *why = NULL;
    assert_int_equal(destination_parse(text, &one, &why), -1);
    if (strstr(why, part) == NULL) fail_msg("%s: %s", text, why);
}

static void texts_are_read(void **state)
{
    (void)state;
    reads("192.0.2.1", "192.0.2.1");
    reads("192.0.2.0/24", "192.0.2.0/24");
    reads("192.0.2.1:443", "192.0.2.1:443");
    reads("192.0.2.0/24:65535", "192.0.2.0/24:65535");
    reads("*:443", "*:443");
    reads("0.0.0.0/0:443", "*:443");
    reads("0.0.0.0/0", "0.0.0.0/0");
    reads("2001:db8::1", "2001:db8::1");
    reads("2001:db8::/32", "2001:db8::/32");
    reads("2001:db8::1:443", "2001:db8::1:443");
    reads("[2001:db8::1]", "2001:db8::1");
    reads("[2001:db8::1]:443", "[2001:db8::1]:443");
    reads("[2001:db8::/32]:1", "[2001:db8::/32]:1");
    reads("[*]:443", "[*]:443");
    reads("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127]:65535");
    static const char *const WRONG[] = {"",
                                        "*",
                                        "[*]",
                                        "x:443",
                                        "192.0.2.1/24:443",
                                        "[192.0.2.1]:443",
                                        "[::1",
                                        "[::1]443",
                                        "[::1]x:443",
                                        "[]:443",
                                        "443",
                                        ":443",
                                        "host:https",
                                        "10.0.0.1/8",
                                        "[2001:db8::1/32]:443"};
    for (size_t i = 0; i < ARRAY_LEN(WRONG); i++)
        refuses(WRONG[i], "an address or a network, alone or with a port");
    refuses("192.0.2.1:0", "a port from 1");
    refuses("192.0.2.1:", "a port from 1");
    refuses("*:65536", "a port from 1");
    refuses("[::1]:-1", "a port from 1");
    refuses("[::1]:000443", "a port from 1");
    char longest[200];
    memset(longest, '1', sizeof(longest));
    longest[199] = '\0';
    refuses(longest, "an address");
}

static struct addr address(const char *text)
{
    struct endpoint endpoint;
    const char *why;
    assert_int_equal(endpoint_parse(text, &endpoint, &why), 0);
    return endpoint.ip;
}

static bool holds(const char *text, const char *where)
{
    struct destination one;
    const char *why;
    struct addr a = address(where);
    assert_int_equal(destination_parse(text, &one, &why), 0);
    const struct destination_list list = {1, &one};
    return destination_list_holds(&list, &a);
}

static void addresses_and_ports_both_count(void **state)
{
    (void)state;
    assert_true(holds("192.0.2.1", "192.0.2.1:1"));
    assert_false(holds("192.0.2.1", "192.0.2.2:1"));
    assert_true(holds("192.0.2.0/24:443", "192.0.2.9:443"));
    assert_false(holds("192.0.2.0/24:443", "192.0.2.9:444"));
    assert_false(holds("192.0.2.0/24:443", "192.0.3.9:443"));
    assert_true(holds("*:443", "192.0.3.9:443"));
    assert_false(holds("*:443", "[::1]:443"));
    assert_true(holds("[*]:443", "[::1]:443"));
    assert_false(holds("[*]:443", "192.0.3.9:443"));
    const struct addr unknown = {0};
    struct destination every[2];
    const char *why;
    assert_int_equal(destination_parse("0.0.0.0/0", &every[0], &why), 0);
    assert_int_equal(destination_parse("::/0", &every[1], &why), 0);
    const struct destination_list list = {2, every};
    assert_false(destination_list_holds(&list, &unknown));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_read),
        cmocka_unit_test(addresses_and_ports_both_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
