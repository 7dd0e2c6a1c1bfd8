#include "gateway/server_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static enum server_name_kind clean(const char *name, char *out)
{
    return server_name_clean((const uint8_t *)name, strlen(name), out);
}

static void names_are_cleaned(void **state)
{
    (void)state;
    char out[SERVER_NAME_BYTES];
    assert_int_equal(clean("WWW.Example.TEST.", out), SERVER_NAME_HOST);
    assert_string_equal(out, "www.example.test");
    assert_int_equal(clean("_srv.xn--e1a-b", out), SERVER_NAME_HOST);
    assert_string_equal(out, "_srv.xn--e1a-b");
    assert_int_equal(clean("a", out), SERVER_NAME_HOST);
}

static void addresses_are_told_apart(void **state)
{
    (void)state;
    char out[SERVER_NAME_BYTES];
    assert_int_equal(clean("192.0.2.1", out), SERVER_NAME_ADDRESS);
    assert_int_equal(clean("192.0.2.1.", out), SERVER_NAME_ADDRESS);
    assert_int_equal(clean("2001:DB8::1", out), SERVER_NAME_ADDRESS);
    assert_int_equal(clean("192.0.2.1.example", out), SERVER_NAME_HOST);
}

static void bad_names_are_refused(void **state)
{
    (void)state;
    char out[SERVER_NAME_BYTES];
    static const char *const BAD[] = {"",    ".",     "a b",  "a/b", "a:b", "[::1]", "caf\xc3\xa9.test",
                                      "a*b", "a\x7f", "\"a\""};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        assert_int_equal(clean(BAD[i], out), SERVER_NAME_BAD);
    assert_int_equal(server_name_clean((const uint8_t *)"a\0b", 3, out), SERVER_NAME_BAD);
}

static void length_has_a_limit(void **state)
{
    (void)state;
    char out[SERVER_NAME_BYTES];
    uint8_t name[SERVER_NAME_BYTES + 1];
    memset(name, 'a', sizeof(name));
    assert_int_equal(server_name_clean(name, 255, out), SERVER_NAME_HOST);
    assert_int_equal(strlen(out), 255);
    assert_int_equal(server_name_clean(name, 256, out), SERVER_NAME_BAD);
    name[255] = '.';
    assert_int_equal(server_name_clean(name, 256, out), SERVER_NAME_HOST);
}

static void patterns_are_checked(void **state)
{
    (void)state;
    char out[SERVER_NAME_BYTES];
    const char *why = NULL;
    assert_int_equal(server_name_pattern("*.Example.test.", out, &why), 0);
    assert_string_equal(out, "*.example.test");
    assert_int_equal(server_name_pattern("example.test", out, &why), 0);

    static const char *const BAD[] = {"", "*", "*.", "*.*.test", "a*.test", "a..test", ".test", "a b", "*test"};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        why = NULL;
        assert_int_equal(server_name_pattern(BAD[i], out, &why), -1);
        assert_non_null(strstr(why, "*.example.com"));
    }
    char label[65 + sizeof(".test")];
    memset(label, 'a', 64);
    memcpy(label + 64, ".test", sizeof(".test"));
    assert_int_equal(server_name_pattern(label, out, &why), -1);
    assert_int_equal(server_name_pattern(label + 1, out, &why), 0);
    assert_int_equal(server_name_pattern("caf\xc3\xa9.test", out, &why), -1);
    assert_non_null(strstr(why, "xn--"));
    assert_int_equal(server_name_pattern("192.0.2.1", out, &why), -1);
    assert_non_null(strstr(why, "IP address"));
}

static void patterns_match(void **state)
{
    (void)state;
    assert_true(server_name_matches("a.test", "a.test"));
    assert_false(server_name_matches("a.test", "b.a.test"));
    assert_true(server_name_matches("*.a.test", "b.a.test"));
    assert_true(server_name_matches("*.a.test", "c.b.a.test"));
    assert_false(server_name_matches("*.a.test", "a.test"));
    assert_false(server_name_matches("*.a.test", ".a.test"));
    assert_false(server_name_matches("*.a.test", "ba.test"));
    assert_true(server_name_matches("*.a.test", "*.a.test"));
    assert_true(server_name_matches("*.a.test", "*.b.a.test"));
    assert_false(server_name_matches("*.b.a.test", "*.a.test"));
    assert_false(server_name_matches("b.a.test", "*.a.test"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_cleaned),     cmocka_unit_test(addresses_are_told_apart),
        cmocka_unit_test(bad_names_are_refused), cmocka_unit_test(length_has_a_limit),
        cmocka_unit_test(patterns_are_checked),  cmocka_unit_test(patterns_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
