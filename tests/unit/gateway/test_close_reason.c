#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/close_reason.h"

#include <string.h>

static void test_plain_counters_come_first(void **state)
{
    (void)state;
    assert_string_equal(CLOSE_REASON_ROWS[COUNTER_ACCEPTED].name, "accepted");
    assert_string_equal(CLOSE_REASON_ROWS[COUNTER_PLAIN_COUNT - 1].name, "worker_deaths");
    assert_string_equal(CLOSE_REASON_ROWS[close_reason_row(CLOSE_DONE)].name, "close_done");
    assert_string_equal(CLOSE_REASON_ROWS[CLOSE_REASON_ROW_COUNT - 1].name, "close_drained");
}

static void test_names_match_counters(void **state)
{
    (void)state;
    assert_string_equal(close_reason_name(CLOSE_PEEK_TIMEOUT), "peek_timeout");
    for (int r = 0; r < CLOSE_REASON_COUNT; r++) {
        const char *counter = CLOSE_REASON_ROWS[close_reason_row((enum close_reason)r)].name;
        assert_memory_equal(counter, "close_", 6);
        assert_string_equal(counter + 6, close_reason_name((enum close_reason)r));
    }
}

static void test_names_are_unique_and_explained(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLOSE_REASON_ROW_COUNT; i++) {
        assert_true(strlen(CLOSE_REASON_ROWS[i].help) > 0);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(CLOSE_REASON_ROWS[i].name, CLOSE_REASON_ROWS[j].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_counters_come_first),
        cmocka_unit_test(test_names_match_counters),
        cmocka_unit_test(test_names_are_unique_and_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
