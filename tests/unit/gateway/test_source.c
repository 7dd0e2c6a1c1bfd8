#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct addr address(const char *text)
{
    struct endpoint endpoint;
    const char *why = NULL;
    assert_int_equal(endpoint_parse(text, &endpoint, &why), 0);
    return endpoint.ip;
}

static uint64_t key_of(const struct sources *sources, const char *text)
{
    struct addr a = address(text);
    return source_key(sources, &a);
}

static void open_first(struct sources *sources, struct source_table *table)
{
    sources_open(sources, table, source_table_take_region(table));
    assert_true(sources->shared);
}

static void test_what_a_source_is(void **state)
{
    (void)state;
    struct source_table *table = source_table_new(1, 16);
    struct sources s;
    open_first(&s, table);
    assert_true(key_of(&s, "192.0.2.1:1") == key_of(&s, "192.0.2.1:2"));
    assert_true(key_of(&s, "192.0.2.1:1") != key_of(&s, "192.0.2.2:1"));
    assert_true(key_of(&s, "[2001:db8::1]:1") == key_of(&s, "[2001:db8::ffff:ffff:ffff:ffff]:9"));
    assert_true(key_of(&s, "[2001:db8::1]:1") != key_of(&s, "[2001:db8:0:1::1]:1"));
    /* Circuits of Tor are told apart. */
    assert_true(key_of(&s, "[fc00:dead:beef:4dad::1]:1") == key_of(&s, "[fc00:dead:beef:4dad::1]:2"));
    assert_true(key_of(&s, "[fc00:dead:beef:4dad::1]:1") != key_of(&s, "[fc00:dead:beef:4dad::2]:1"));
    assert_true(key_of(&s, "[fc00:dead:beef:4dac::1]:1") == key_of(&s, "[fc00:dead:beef:4dac::2]:1"));
    sources_close(&s);
    source_table_free(&table);
    assert_null(table);
}

static void assert_counts(const struct sources *sources, uint64_t key, uint32_t connections, uint32_t probing)
{
    struct source_counts counts = source_counts(sources, key);
    assert_int_equal(counts.connections, connections);
    assert_int_equal(counts.probing, probing);
}

static void test_counts_of_all_workers(void **state)
{
    (void)state;
    struct source_table *table = source_table_new(2, 100);
    struct sources a, b;
    int first = source_table_take_region(table), second = source_table_take_region(table);
    sources_open(&a, table, first);
    sources_open(&b, table, second);
    uint64_t key = key_of(&a, "192.0.2.1:1"), other = key_of(&a, "192.0.2.2:1");
    assert_true(key == key_of(&b, "192.0.2.1:1"));
    source_came(&a, key);
    source_came(&a, key);
    source_came(&b, key);
    source_came(&b, other);
    assert_counts(&a, key, 3, 3);
    assert_counts(&b, key, 3, 3);
    assert_counts(&a, other, 1, 1);
    source_decided(&a, key);
    assert_counts(&b, key, 3, 2);
    source_decided(&b, key);
    source_left(&b, key);
    assert_counts(&a, key, 2, 1);
    source_left(&b, key); /* not held there: nothing to take back */
    assert_counts(&a, key, 2, 1);
    /* The first worker dies. */
    source_table_clear_worker(table, first);
    assert_counts(&b, key, 0, 0);
    assert_counts(&b, other, 1, 1);
    assert_int_equal(source_table_take_region(table), first);
    assert_counts(&b, key, 0, 0);
    source_table_free(&table);
}

static void test_another_process_sees_them(void **state)
{
    (void)state;
    struct source_table *table = source_table_new(2, 100);
    struct sources a, b;
    open_first(&a, table);
    int region = source_table_take_region(table);
    uint64_t key = key_of(&a, "192.0.2.1:1");
    pid_t pid = fork();
    if (pid == 0) {
        sources_open(&b, table, region);
        source_came(&b, key);
        atomic_store(&b.gauges->connections, 7);
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_counts(&a, key, 1, 1);
    assert_int_equal(atomic_load(&source_table_gauges(table, region)->connections), 7);
    source_table_clear_worker(table, region);
    assert_counts(&a, key, 0, 0);
    assert_int_equal(atomic_load(&source_table_gauges(table, region)->connections), 0);
    source_table_free(&table);
}

static void test_no_region_counts_for_itself(void **state)
{
    (void)state;
    struct source_table *table = source_table_new(1, 16);
    struct sources a, alone;
    open_first(&a, table);
    while (source_table_take_region(table) != SOURCE_NO_REGION)
        ;
    assert_null(source_table_gauges(table, SOURCE_NO_REGION));
    sources_open(&alone, table, SOURCE_NO_REGION);
    uint64_t key = key_of(&a, "192.0.2.1:1");
    source_came(&a, key);
    source_came(&alone, key);
    assert_counts(&alone, key, 2, 2);
    assert_counts(&a, key, 1, 1);
    source_table_clear_worker(table, SOURCE_NO_REGION);
    sources_close(&alone);
    source_table_free(&table);
}

static void test_fits(void **state)
{
    (void)state;
    struct source_table *table = source_table_new(2, 1000);
    assert_true(source_table_fits(table, 2, 1000));
    assert_true(source_table_fits(table, 1, 10));
    assert_false(source_table_fits(table, 2, 10000));
    assert_false(source_table_fits(table, 20, 1000));
    source_table_free(&table);
}

/* With two connections there is one set of eight cells. */
static void test_a_full_set_forgets_the_smallest(void **state)
{
    (void)state;
    struct source_table *table = source_table_new(1, 2);
    struct sources s;
    uint64_t keys[9];
    char text[32];
    open_first(&s, table);
    for (size_t i = 0; i < 9; i++) {
        snprintf(text, sizeof(text), "192.0.2.%zu:1", i);
        keys[i] = key_of(&s, text);
    }
    for (size_t i = 0; i < 8; i++)
        for (size_t n = 0; n < (i == 5 ? 1 : 2); n++)
            source_came(&s, keys[i]);
    source_came(&s, keys[8]);
    for (size_t i = 0; i < 9; i++)
        assert_counts(&s, keys[i], i == 5 ? 0 : i == 8 ? 1 : 2, i == 5 ? 0 : i == 8 ? 1 : 2);
    /* What is forgotten is not taken back from anyone. */
    source_decided(&s, keys[5]);
    source_left(&s, keys[5]);
    assert_counts(&s, keys[8], 1, 1);
    source_decided(&s, keys[8]);
    source_left(&s, keys[8]);
    assert_counts(&s, keys[8], 0, 0);
    sources_close(&s);
    source_table_free(&table);
}

/* As many sources as connections, all different, are all counted but for a few. */
static void test_a_crowd_of_sources(void **state)
{
    (void)state;
    enum { CROWD = 10000 };
    struct source_table *table = source_table_new(1, CROWD);
    struct sources s;
    size_t counted = 0;
    open_first(&s, table);
    for (uint32_t i = 0; i < CROWD; i++) {
        struct addr a = {.in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000000 + i)}};
        source_came(&s, source_key(&s, &a));
    }
    for (uint32_t i = 0; i < CROWD; i++) {
        struct addr a = {.in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000000 + i)}};
        counted += source_counts(&s, source_key(&s, &a)).connections == 1;
    }
    assert_true(counted > CROWD * 99 / 100);
    sources_close(&s);
    source_table_free(&table);
}

static const struct source_rate TEN_A_SECOND = {.interval_us = 100000, .burst = 3};

static size_t taken(struct sources *sources, uint64_t key, const struct source_rate *rate, int64_t now_ms, size_t tries)
{
    size_t count = 0;
    while (tries-- > 0)
        count += source_rate_take(sources, key, rate, now_ms);
    return count;
}

static void test_rate(void **state)
{
    (void)state;
    struct source_table *table = source_table_new(2, 100);
    struct sources a, b;
    open_first(&a, table);
    open_first(&b, table);
    uint64_t key = key_of(&a, "192.0.2.1:1"), other = key_of(&a, "192.0.2.2:1");
    int64_t now = 1000000;
    /* A burst, shared by the workers; then one for each interval; refused ones do not make it longer. */
    assert_int_equal(taken(&a, key, &TEN_A_SECOND, now, 2), 2);
    assert_int_equal(taken(&b, key, &TEN_A_SECOND, now, 5), 1);
    assert_int_equal(taken(&b, other, &TEN_A_SECOND, now, 5), 3);
    assert_int_equal(taken(&a, key, &TEN_A_SECOND, now + 99, 100), 0);
    assert_int_equal(taken(&a, key, &TEN_A_SECOND, now + 100, 100), 1);
    assert_int_equal(taken(&b, key, &TEN_A_SECOND, now + 350, 100), 2);
    /* Rest gives the burst back, and no more. */
    assert_int_equal(taken(&b, key, &TEN_A_SECOND, now + 100000, 100), 3);
    size_t count = 0;
    for (int64_t ms = 0; ms < 10000; ms++)
        count += taken(&a, other, &TEN_A_SECOND, now + 200000 + ms, 3);
    assert_int_equal(count, 3 + 99);
    source_table_free(&table);
}

/* Another worker's turn has begun later: what it took from the burst is taken for those who are behind, too. */
static void test_rate_with_clocks_apart(void **state)
{
    (void)state;
    struct source_table *table = source_table_new(2, 16);
    struct sources ahead, behind;
    open_first(&ahead, table);
    open_first(&behind, table);
    uint64_t key = key_of(&ahead, "192.0.2.1:1");
    assert_int_equal(taken(&ahead, key, &TEN_A_SECOND, 5000, 10), 3);
    assert_int_equal(taken(&behind, key, &TEN_A_SECOND, 4999, 10), 0);
    assert_int_equal(taken(&behind, key, &TEN_A_SECOND, 4000, 10), 0);
    assert_int_equal(taken(&ahead, key, &TEN_A_SECOND, 5100, 10), 1);
    sources_close(&ahead);
    sources_close(&behind);
    source_table_free(&table);
}

/* The table's clock turns over after 2^42 units of 4 us. */
static void test_rate_over_the_turn_of_the_clock(void **state)
{
    (void)state;
    struct source_table *table = source_table_new(1, 100);
    struct sources s;
    open_first(&s, table);
    uint64_t key = key_of(&s, "192.0.2.1:1");
    const int64_t turn_ms = (int64_t)(((uint64_t)1 << 42) / 250);
    assert_int_equal(taken(&s, key, &TEN_A_SECOND, turn_ms - 50, 9), 3);
    assert_int_equal(taken(&s, key, &TEN_A_SECOND, turn_ms + 49, 9), 0);
    assert_int_equal(taken(&s, key, &TEN_A_SECOND, turn_ms + 51, 9), 1);
    /* Long after, what is left in the cell means nothing. */
    assert_int_equal(taken(&s, key, &TEN_A_SECOND, 2 * turn_ms - 20000, 9), 3);
    sources_close(&s);
    source_table_free(&table);
}

/* More sources at once than there are cells: those who are forgotten may connect, nobody else is kept from it. */
static void test_rate_table_full(void **state)
{
    (void)state;
    enum { CROWD = 200000 };
    struct source_table *table = source_table_new(1, 100);
    struct sources s;
    const struct source_rate slow = {.interval_us = 1000000, .burst = 2};
    size_t still_limited = 0;
    open_first(&s, table);
    uint64_t busy = key_of(&s, "192.0.2.1:1");
    assert_int_equal(taken(&s, busy, &slow, 1000, 9), 2);
    for (uint32_t i = 0; i < CROWD; i++) {
        struct addr a = {.in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000000 + i)}};
        assert_true(source_rate_take(&s, source_key(&s, &a), &slow, 1000));
    }
    /* The busy one is farthest from its whole burst, so it is kept while newcomers push out each other. */
    assert_int_equal(taken(&s, busy, &slow, 1000, 9), 0);
    for (uint32_t i = 0; i < CROWD; i++) {
        struct addr a = {.in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000000 + i)}};
        uint64_t key = source_key(&s, &a);
        still_limited += taken(&s, key, &slow, 1000, 2) < 2;
    }
    assert_true(still_limited > 0 && still_limited < CROWD);
    sources_close(&s);
    source_table_free(&table);
}

/* Processes that take at the same time lose no update. */
static void test_rate_is_exact_between_processes(void **state)
{
    (void)state;
    enum { PROCESSES = 4, TRIES = 20000, BURST = 30000 };
    struct source_table *table = source_table_new(PROCESSES, 100);
    const struct source_rate rate = {.interval_us = 1000, .burst = BURST};
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    for (size_t p = 0; p < PROCESSES; p++) {
        int region = source_table_take_region(table);
        if (fork() != 0) continue;
        struct sources s;
        sources_open(&s, table, region);
        size_t count = taken(&s, key_of(&s, "192.0.2.1:1"), &rate, 5000, TRIES);
        _exit(write(pipes[1], &count, sizeof(count)) == sizeof(count) ? 0 : 1);
    }
    size_t sum = 0;
    for (size_t p = 0; p < PROCESSES; p++) {
        size_t count = 0;
        assert_int_equal(read(pipes[0], &count, sizeof(count)), sizeof(count));
        sum += count;
        assert_true(wait(NULL) > 0);
    }
    assert_int_equal(sum, BURST);
    close(pipes[0]);
    close(pipes[1]);
    source_table_free(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_source_is),
        cmocka_unit_test(test_counts_of_all_workers),
        cmocka_unit_test(test_another_process_sees_them),
        cmocka_unit_test(test_no_region_counts_for_itself),
        cmocka_unit_test(test_fits),
        cmocka_unit_test(test_a_full_set_forgets_the_smallest),
        cmocka_unit_test(test_a_crowd_of_sources),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_rate_with_clocks_apart),
        cmocka_unit_test(test_rate_over_the_turn_of_the_clock),
        cmocka_unit_test(test_rate_table_full),
        cmocka_unit_test(test_rate_is_exact_between_processes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
