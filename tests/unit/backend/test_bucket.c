#include "backend/bucket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { INTERVAL_MS = 1000 };

static void test_fill_and_run_out(void **state)
{
    struct buckets *buckets = buckets_new(64);

    (void)state;
    assert_int_equal(bucket_level(buckets, 7, INTERVAL_MS, 50), 0);
    assert_int_equal(bucket_add(buckets, 7, INTERVAL_MS, 50), 1);
    assert_int_equal(bucket_add(buckets, 7, INTERVAL_MS, 50), 2);
    assert_int_equal(bucket_add(buckets, 7, INTERVAL_MS, 60), 3);
    assert_int_equal(bucket_level(buckets, 7, INTERVAL_MS, 1049), 3);
    assert_int_equal(bucket_level(buckets, 7, INTERVAL_MS, 1050), 2);
    assert_int_equal(bucket_level(buckets, 7, INTERVAL_MS, 3049), 1);
    assert_int_equal(bucket_level(buckets, 7, INTERVAL_MS, 3050), 0);
    assert_int_equal(bucket_add(buckets, 7, INTERVAL_MS, 9000), 1);
    assert_int_equal(bucket_level(buckets, 8, INTERVAL_MS, 9000), 0);
    bucket_empty(buckets, 8);
    assert_int_equal(bucket_level(buckets, 7, INTERVAL_MS, 9000), 1);
    bucket_empty(buckets, 7);
    assert_int_equal(bucket_level(buckets, 7, INTERVAL_MS, 9000), 0);
    (void)bucket_add(buckets, 7, INTERVAL_MS, 9000);
    buckets_empty(buckets);
    assert_int_equal(bucket_level(buckets, 7, INTERVAL_MS, 9000), 0);
    buckets_free(&buckets);
    assert_null(buckets);
}

/* However many there are, the fullest are remembered. */
static void test_a_flood_does_not_wash_out_the_fullest(void **state)
{
    struct buckets *buckets = buckets_new(64);

    (void)state;
    for (uint64_t hash = 1; hash <= 8; hash++)
        for (int i = 0; i < 5; i++)
            (void)bucket_add(buckets, hash, INTERVAL_MS, 0);
    for (uint64_t hash = 100; hash < 100000; hash++)
        (void)bucket_add(buckets, hash, INTERVAL_MS, 0);
    for (uint64_t hash = 1; hash <= 8; hash++)
        assert_int_equal(bucket_level(buckets, hash, INTERVAL_MS, 0), 5);
    buckets_free(&buckets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fill_and_run_out),
        cmocka_unit_test(test_a_flood_does_not_wash_out_the_fullest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
