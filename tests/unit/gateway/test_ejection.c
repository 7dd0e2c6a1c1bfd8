#include "gateway/ejection.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct ejection_rules RULES = {.max_fails = 3, .fail_timeout_ms = 1000, .max_ms = 5000};

enum { TRIAL_MS = 200 };

/* Three failures at now: out. */
static void eject(struct ejection *e, int64_t now)
{
    assert_int_equal(ejection_failed(e, &RULES, now), 0);
    assert_int_equal(ejection_failed(e, &RULES, now), 0);
    assert_int_equal(ejection_failed(e, &RULES, now), 1000);
}

static void test_failures_in_one_window_eject(void **state)
{
    (void)state;
    struct ejection e = {0};
    eject(&e, 50000);
    assert_int_equal(ejection_state(&e, 50000), EJECTION_OUT);
    assert_int_equal(ejection_state(&e, 50999), EJECTION_OUT);
    assert_int_equal(ejection_state(&e, 51000), EJECTION_DUE);
}

static void test_failures_far_apart_do_not(void **state)
{
    (void)state;
    struct ejection e = {0};
    for (int64_t now = 50000; now < 60000; now += 500)
        assert_int_equal(ejection_failed(&e, &RULES, now), 0);
    assert_int_equal(ejection_state(&e, 60000), EJECTION_NONE);
}

static void test_never_with_no_limit(void **state)
{
    (void)state;
    const struct ejection_rules never = {.fail_timeout_ms = 1000, .max_ms = 1000};
    struct ejection e = {0};
    for (int i = 0; i < 100; i++)
        assert_int_equal(ejection_failed(&e, &never, 50000), 0);
    assert_int_equal(ejection_state(&e, 50000), EJECTION_NONE);
}

static void test_one_connection_tries_it(void **state)
{
    (void)state;
    struct ejection e = {0};
    eject(&e, 50000);
    assert_false(ejection_try(&e, 50999, TRIAL_MS));
    assert_true(ejection_try(&e, 51000, TRIAL_MS));
    assert_false(ejection_try(&e, 51001, TRIAL_MS));
    assert_int_equal(ejection_state(&e, 51001), EJECTION_OUT);
    /* Who tried it has died. */
    assert_true(ejection_try(&e, 51000 + TRIAL_MS + 1, TRIAL_MS));
}

static void test_back_after_a_trial_that_worked(void **state)
{
    (void)state;
    struct ejection e = {0};
    assert_false(ejection_worked(&e));
    eject(&e, 50000);
    assert_true(ejection_try(&e, 51000, TRIAL_MS));
    assert_true(ejection_worked(&e));
    assert_false(ejection_worked(&e));
    assert_int_equal(ejection_state(&e, 51000), EJECTION_NONE);
    assert_true(ejection_try(&e, 51000, TRIAL_MS));
    /* And it begins anew. */
    eject(&e, 52000);
}

static void test_each_failed_trial_doubles_the_time_up_to_a_bound(void **state)
{
    (void)state;
    static const int64_t wanted[] = {2000, 4000, 5000, 5000};
    struct ejection e = {0};
    int64_t now = 50000;
    eject(&e, now);
    now += 1000;
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        assert_true(ejection_try(&e, now, TRIAL_MS));
        assert_int_equal(ejection_failed(&e, &RULES, now), wanted[i]);
        assert_int_equal(ejection_state(&e, now + wanted[i] - 1), EJECTION_OUT);
        now += wanted[i];
        assert_int_equal(ejection_state(&e, now), EJECTION_DUE);
    }
}

static void test_late_failures_say_nothing_new(void **state)
{
    (void)state;
    struct ejection e = {0};
    eject(&e, 50000);
    for (int i = 0; i < 10; i++)
        assert_int_equal(ejection_failed(&e, &RULES, 50500), 0);
    assert_int_equal(ejection_state(&e, 51000), EJECTION_DUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failures_in_one_window_eject),
        cmocka_unit_test(test_failures_far_apart_do_not),
        cmocka_unit_test(test_never_with_no_limit),
        cmocka_unit_test(test_one_connection_tries_it),
        cmocka_unit_test(test_back_after_a_trial_that_worked),
        cmocka_unit_test(test_each_failed_trial_doubles_the_time_up_to_a_bound),
        cmocka_unit_test(test_late_failures_say_nothing_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
