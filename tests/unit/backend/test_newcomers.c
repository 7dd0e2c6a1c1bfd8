#include "backend/newcomers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static struct addr address(const char *text)
{
    struct endpoint endpoint;
    const char *why = NULL;
    assert_int_equal(endpoint_parse(text, &endpoint, &why), 0);
    return endpoint.ip;
}

static void a_source_has_so_many(void **state)
{
    struct newcomers *newcomers = newcomers_new();
    const struct addr one = address("192.0.2.1:1000"), same = address("192.0.2.1:2000");
    const struct addr other = address("192.0.2.2:1000");
    (void)state;
    assert_true(newcomers_enter(newcomers, &one, 2));
    assert_true(newcomers_enter(newcomers, &same, 2));
    assert_false(newcomers_enter(newcomers, &one, 2));
    assert_true(newcomers_enter(newcomers, &other, 2));
    newcomers_leave(newcomers, &same);
    assert_true(newcomers_enter(newcomers, &same, 2));
    assert_false(newcomers_enter(newcomers, &same, 2));
    assert_true(newcomers_enter(newcomers, &same, 0)); /* no limit, and counted */
    newcomers_leave(newcomers, &same);
    newcomers_leave(newcomers, &same);
    assert_true(newcomers_enter(newcomers, &same, 2));
    newcomers_free(&newcomers);
}

static void a_network_of_ipv6_is_one_source(void **state)
{
    struct newcomers *newcomers = newcomers_new();
    const struct addr one = address("[2001:db8::1]:1"), same = address("[2001:db8::ffff:2]:1");
    const struct addr other = address("[2001:db8:0:1::1]:1");
    (void)state;
    assert_true(newcomers_enter(newcomers, &one, 1));
    assert_false(newcomers_enter(newcomers, &same, 1));
    assert_true(newcomers_enter(newcomers, &other, 1));
    newcomers_free(&newcomers);
}

static void no_address_is_not_counted(void **state)
{
    struct newcomers *newcomers = newcomers_new();
    struct addr nowhere;
    (void)state;
    memset(&nowhere, 0, sizeof(nowhere));
    for (unsigned i = 0; i < 10; i++)
        assert_true(newcomers_enter(newcomers, &nowhere, 1));
    newcomers_leave(newcomers, &nowhere);
    newcomers_free(&newcomers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_source_has_so_many),
        cmocka_unit_test(a_network_of_ipv6_is_one_source),
        cmocka_unit_test(no_address_is_not_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
