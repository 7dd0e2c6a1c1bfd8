#include "lib/spare.h"

#include "lib/loop.h"
#include "lib/mem.h"

#include <event2/event.h>
#include <malloc.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static unsigned trims;

/* In place of the C library's: a sanitizer's allocator has nothing to trim. */
int malloc_trim(size_t pad)
{
    (void)pad;
    trims++;
    return 1;
}

/* Kilobytes of mapped files that are in memory; proc(5), status. */
static long file_kb(void)
{
    char line[128];
    long kb = -1;
    FILE *status = fopen("/proc/self/status", "re");
    assert_non_null(status);
    while (kb < 0 && fgets(line, sizeof(line), status))
        (void)sscanf(line, "RssFile: %ld", &kb);
    fclose(status);
    assert_true(kb > 0);
    return kb;
}

static void digest(char out[EVP_MAX_MD_SIZE])
{
    unsigned len = 0;
    memset(out, 0, EVP_MAX_MD_SIZE);
    assert_int_equal(EVP_Digest("capulet", 7, (unsigned char *)out, &len, EVP_sha512(), NULL), 1);
    assert_int_equal(len, 64);
}

static void test_pages_go_and_come_back(void **state)
{
    char before[EVP_MAX_MD_SIZE], after[EVP_MAX_MD_SIZE];
    (void)state;
    digest(before);
    const long held_kb = file_kb();
    spare_start_pages();
    assert_true(file_kb() < held_kb);
    digest(after); /* code, constants and what the dynamic linker wrote are as they were */
    assert_memory_equal(before, after, sizeof(before));
}

/* A loop on which an arena is freed every so often; a turn is there for each, and none without. */
struct work {
    struct loop *loop;
    struct spare *spare;
    struct event *event;
    size_t size_bytes;
    unsigned left, looked_for; /* how often yet; it ends when trims are that many and nothing is left */
};

static void free_arena(size_t size_bytes)
{
    struct arena *arena = arena_new();
    assert_non_null(arena_alloc(arena, size_bytes));
    arena_free(&arena);
}

static void on_work(evutil_socket_t fd, short what, void *arg)
{
    struct work *work = arg;
    (void)fd;
    (void)what;
    if (work->left > 0) {
        free_arena(work->size_bytes);
        work->left--;
    }
    if (work->left == 0 && trims >= work->looked_for) loop_stop(work->loop);
}

static void run(struct work *work, size_t size_bytes, unsigned times, int64_t every_ms, unsigned looked_for)
{
    const struct timeval every = {every_ms / 1000, every_ms % 1000 * 1000};
    work->size_bytes = size_bytes;
    work->left = times;
    work->looked_for = looked_for;
    work->event = event_new(loop_base(work->loop), -1, EV_PERSIST, on_work, work);
    assert_int_equal(event_add(work->event, &every), 0);
    loop_run(work->loop);
    event_free(work->event);
}

static int set_up(void **state)
{
    struct work *work = MEM_NEW(struct work);
    work->loop = loop_new();
    work->spare = spare_new(work->loop);
    trims = 0;
    *state = work;
    return 0;
}

static int tear_down(void **state)
{
    struct work *work = *state;
    spare_free(&work->spare);
    assert_null(work->spare);
    free_arena((size_t)2 * SPARE_EACH_BYTES); /* counts for nobody now */
    loop_free(&work->loop);
    free(work);
    return 0;
}

static void test_a_burst_is_given_back(void **state)
{
    struct work *work = *state;
    run(work, SPARE_EACH_BYTES, 3, 1, 1);
    assert_int_equal(trims, 1);
    run(work, SPARE_EACH_BYTES, 1, 1, 2); /* and so is the next */
    assert_int_equal(trims, 2);
}

/* A process that is idle has no timer. */
static void test_little_is_kept(void **state)
{
    struct work *work = *state;
    run(work, SPARE_EACH_BYTES / 4, 3, 1, 0);
    assert_int_equal(event_base_get_num_events(loop_base(work->loop), EVENT_BASE_COUNT_ADDED), 0);
    run(work, SPARE_EACH_BYTES / 4, 1, 1, 0);
    assert_int_equal(event_base_get_num_events(loop_base(work->loop), EVENT_BASE_COUNT_ADDED), 1);
    run(work, 1, 1, 1, 1);
    assert_int_equal(event_base_get_num_events(loop_base(work->loop), EVENT_BASE_COUNT_ADDED), 0);
}

static void test_work_comes_first(void **state)
{
    struct work *work = *state;
    const int64_t begun_ms = loop_now_ms(work->loop);
    run(work, SPARE_EACH_BYTES, 20, SPARE_WAIT_MS / 8, 0); /* two seconds and more */
    assert_int_equal(trims, 0);
    run(work, 1, 1, 1, 1);
    assert_true(loop_now_ms(work->loop) - begun_ms >= (int64_t)3 * SPARE_WAIT_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_go_and_come_back),
        cmocka_unit_test_setup_teardown(test_a_burst_is_given_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_little_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_work_comes_first, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
