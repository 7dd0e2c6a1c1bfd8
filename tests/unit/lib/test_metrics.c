#include "lib/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static const struct counter_row ROWS[] = {
    {"accepted", "Connections \\ accepted."}, {"lost", "Never counted."}, {"bytes", "Bytes."}};

static void assert_text(struct buf *out, const char *wanted)
{
    buf_append(out, "", 1);
    assert_string_equal((const char *)buf_data(out), wanted);
    buf_free(out);
}

static void test_samples(void **state)
{
    (void)state;
    struct buf out = {0};
    const struct metrics_label labels[] = {{"upstream", "web"}, {"server", "a\"b\\c\nd\xff\xc3\xa9"}};
    metrics_family(&out, "x_up", METRICS_GAUGE, "One\nline.");
    metrics_sample(&out, "x_up", labels, 2, -1);
    metrics_sample(&out, "x_up", NULL, 0, INT64_MAX);
    assert_text(&out, "# HELP x_up One\\nline.\n# TYPE x_up gauge\n"
                      "x_up{upstream=\"web\",server=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\xc3\xa9\"} -1\n"
                      "x_up 9223372036854775807\n");
}

static void test_counters(void **state)
{
    (void)state;
    struct counters *counters = counters_new(ROWS, ARRAY_LEN(ROWS), 3);
    counter_cell *all = counters_block(counters, ""), *one = counters_block(counters, "one"),
                 *two = counters_block(counters, "two");
    assert_true(all != NULL && one != NULL && two != NULL);
    counter_add(all, 0, 7);
    counter_add(one, 0, 3);
    counter_add(two, 0, 4);
    counter_add(two, 2, 9);
    struct buf out = {0};
    metrics_counters(&out, counters, "p", "route");
    assert_text(&out,
                "# HELP p_accepted_total Connections \\\\ accepted.\n# TYPE p_accepted_total counter\n"
                "p_accepted_total 7\n"
                "# HELP p_route_accepted_total Connections \\\\ accepted.\n# TYPE p_route_accepted_total counter\n"
                "p_route_accepted_total{route=\"one\"} 3\np_route_accepted_total{route=\"two\"} 4\n"
                "# HELP p_lost_total Never counted.\n# TYPE p_lost_total counter\np_lost_total 0\n"
                "# HELP p_bytes_total Bytes.\n# TYPE p_bytes_total counter\np_bytes_total 0\n"
                "# HELP p_route_bytes_total Bytes.\n# TYPE p_route_bytes_total counter\n"
                "p_route_bytes_total{route=\"two\"} 9\n");
    counters_free(&counters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_samples), cmocka_unit_test(test_counters)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
