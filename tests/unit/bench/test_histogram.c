/* Buckets are narrow, and quantiles are those of the numbers. */
#include "bench/common/histogram.h"

#include "bench/common/generator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT = 100000 };

static void buckets_are_at_most_one_percent_wide(void **state)
{
    (void)state;
    unsigned last = 0;
    for (int64_t ns = 0; ns < INT64_C(900000000000); ns += 1 + ns / 1000) {
        unsigned bucket = histogram_bucket(ns);
        assert_true(bucket == last || bucket == last + 1); /* none is left out */
        last = bucket;
        double error = histogram_value(bucket) - (double)ns;
        if (error < 0) error = -error;
        assert_true(error <= (double)ns * 0.005);
    }
    assert_int_equal(histogram_bucket(-1), 0);
    assert_int_equal(histogram_bucket(INT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void quantiles_are_those_of_sorted_numbers(void **state)
{
    (void)state;
    static const double parts[] = {0, 0.1, 0.5, 0.9, 0.99, 0.999};
    static struct histogram histogram;
    static int64_t numbers[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        numbers[i] = random_gap_ns(1000);
        histogram_add(&histogram, numbers[i]);
    }
    qsort(numbers, COUNT, sizeof(numbers[0]), compare);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        double wanted = (double)numbers[(size_t)(parts[i] * COUNT)], got = histogram_quantile(&histogram, parts[i]);
        assert_true(got >= wanted * 0.99 && got <= wanted * 1.01);
    }
    assert_true(histogram_quantile(&histogram, 1) == (double)numbers[COUNT - 1]);
    assert_int_equal(histogram.min_ns, numbers[0]);
    assert_int_equal(histogram.max_ns, numbers[COUNT - 1]);
}

static void prints_what_is_in_it(void **state)
{
    (void)state;
    static struct histogram histogram;
    char text[1024] = "";
    FILE *file = fmemopen(text, sizeof(text), "w");
    assert_non_null(file);
    histogram_add(&histogram, 100);
    histogram_add(&histogram, 100);
    histogram_add(&histogram, 200);
    histogram_print(&histogram, file);
    fclose(file);
    assert_string_equal(text,
                        "{\"count\": 3, \"min_us\": 0.100, \"p50_us\": 0.100, \"p90_us\": 0.200, \"p99_us\": 0.200, "
                        "\"p999_us\": 0.200, \"max_us\": 0.200, \"histogram\": [[0.100, 2], [0.200, 1]]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_are_at_most_one_percent_wide),
        cmocka_unit_test(quantiles_are_those_of_sorted_numbers),
        cmocka_unit_test(prints_what_is_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
