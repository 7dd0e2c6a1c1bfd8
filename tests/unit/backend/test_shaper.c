#include "backend/shaper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { START_MS = 1000000, RATE = 10 };

static void so_much_may_come_at_once(void **state)
{
    struct shaper shaper = {0};
    (void)state;
    for (unsigned i = 0; i < RATE * SHAPER_BURST_S; i++)
        assert_int_equal(shaper_charge(&shaper, RATE, 1, START_MS), 0);
    assert_int_equal(shaper_charge(&shaper, RATE, 1, START_MS), 100);
    assert_int_equal(shaper_charge(&shaper, RATE, 1, START_MS), 200);
}

static void who_has_waited_may_go_on(void **state)
{
    struct shaper shaper = {0};
    (void)state;
    const int64_t wait = shaper_charge(&shaper, RATE, RATE * (SHAPER_BURST_S + 3), START_MS);
    assert_int_equal(wait, 3000);
    assert_int_equal(shaper_charge(&shaper, RATE, 0, START_MS + wait), 0);
    assert_int_equal(shaper_charge(&shaper, RATE, 1, START_MS + wait), 100);
}

static void no_more_is_saved_up_than_that(void **state)
{
    struct shaper shaper = {0};
    (void)state;
    assert_int_equal(shaper_charge(&shaper, RATE, 1, START_MS), 0);
    assert_int_equal(shaper_charge(&shaper, RATE, RATE * SHAPER_BURST_S, START_MS + 3600000), 0);
    assert_int_equal(shaper_charge(&shaper, RATE, 1, START_MS + 3600000), 100);
}

static void no_rate_is_no_limit(void **state)
{
    struct shaper shaper = {0};
    (void)state;
    assert_int_equal(shaper_charge(&shaper, 0, UINT64_C(1) << 60, START_MS), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_much_may_come_at_once),
        cmocka_unit_test(who_has_waited_may_go_on),
        cmocka_unit_test(no_more_is_saved_up_than_that),
        cmocka_unit_test(no_rate_is_no_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
