#include "backend/offload.h"

#include <pthread.h>
#include <stdatomic.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct loop *loop;
static struct mailbox *mailbox;
static pthread_t loop_thread;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_int worked;
static int answered, wanted;

static void work(void *arg)
{
    *(int *)arg *= 2;
    assert_false(pthread_equal(pthread_self(), loop_thread));
    atomic_fetch_add(&worked, 1);
}

static void done(void *arg)
{
    (void)arg;
    assert_true(pthread_equal(pthread_self(), loop_thread));
    if (++answered == wanted) loop_stop(loop);
}

static int dropped_count;

static void dropped(void *arg)
{
    (void)arg;
    assert_true(pthread_equal(pthread_self(), loop_thread));
    dropped_count++;
    if (++answered == wanted) loop_stop(loop);
}

static int post(struct offload *offload, uint64_t source, void (*fn)(void *arg), void *arg)
{
    const struct offload_job job = {
        .source = source, .reply_to = mailbox, .work = fn, .done = done, .dropped = dropped, .arg = arg};
    return offload_post(offload, &job);
}

static void test_work_elsewhere_answers_here(void **state)
{
    int numbers[100];

    (void)state;
    for (unsigned threads = 1; threads <= 4; threads *= 4) {
        struct offload *offload = offload_new(threads);
        answered = 0;
        wanted = 100;
        for (int i = 0; i < 100; i++) {
            numbers[i] = i;
            assert_int_equal(post(offload, (uint64_t)i % 10, work, &numbers[i]), 0);
        }
        loop_run(loop);
        for (int i = 0; i < 100; i++)
            assert_int_equal(numbers[i], i * 2);
        offload_free(&offload);
        assert_null(offload);
    }
}

static void wait_at_gate(void *arg)
{
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    work(arg);
}

/* Jobs beyond the limits are refused, those begun are finished before offload_free returns, the others are dropped. */
static void test_limit_and_end(void **state)
{
    struct offload *offload = offload_new(1);
    static int number;
    int accepted = 0, of_one = 0;

    (void)state;
    atomic_store(&worked, 0);
    answered = dropped_count = 0;
    wanted = -1;
    pthread_mutex_lock(&gate);
    while (of_one < 10000 && post(offload, 1, wait_at_gate, &number) == 0)
        of_one++;
    assert_in_range(of_one, 64, 65); /* one may have been begun */
    for (uint64_t source = 2; accepted < 100000 && post(offload, source, wait_at_gate, &number) == 0; source++)
        accepted++;
    assert_in_range(accepted, 900, 1100);
    pthread_mutex_unlock(&gate);
    offload_free(&offload);
    wanted = accepted + of_one;
    loop_run(loop);
    assert_int_equal(answered, accepted + of_one);
    assert_int_equal(atomic_load(&worked) + dropped_count, accepted + of_one);
}

static int order[2000], order_count;

static void note(void *arg)
{
    order[order_count++] = *(int *)arg;
    work(arg);
}

/* One with many jobs waits for himself: who comes later with one is next. */
static void test_sources_take_turns(void **state)
{
    struct offload *offload = offload_new(1);
    static int many[64], few[3], gated;

    (void)state;
    answered = order_count = 0;
    wanted = 1 + 64 + 3;
    pthread_mutex_lock(&gate);
    assert_int_equal(post(offload, 9, wait_at_gate, &gated), 0);
    for (int i = 0; i < 64; i++) {
        many[i] = 1000 + i;
        assert_int_equal(post(offload, 1, note, &many[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        few[i] = i;
        assert_int_equal(post(offload, (uint64_t)(2 + i / 2), note, &few[i]), 0); /* two of one, one of another */
    }
    pthread_mutex_unlock(&gate);
    loop_run(loop);
    static const int first[] = {1000, 0, 2, 1001, 1, 1002, 1003};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++)
        assert_int_equal(order[i], first[i]);
    offload_free(&offload);
}

/* When every place is taken, those with many give one up, and learn of it. */
static void test_who_has_much_makes_room(void **state)
{
    struct offload *offload = offload_new(1);
    static int numbers[1200], gated;

    (void)state;
    answered = dropped_count = 0;
    wanted = -1;
    pthread_mutex_lock(&gate);
    assert_int_equal(post(offload, 0, wait_at_gate, &gated), 0);
    int posted = 0;
    for (int i = 0; i < 17 * 64; i++) /* from 17 sources, 64 each */
        if (post(offload, (uint64_t)(1 + i / 64), work, &numbers[posted]) == 0) posted++;
    for (int i = 0; i < 100; i++) /* from 100 more, one each */
        assert_int_equal(post(offload, (uint64_t)(1000 + i), work, &numbers[1100 + i]), 0);
    pthread_mutex_unlock(&gate);
    wanted = 1 + posted + 100;
    loop_run(loop);
    assert_in_range(dropped_count, 100, 17 * 64 + 100 - 900);
    offload_free(&offload);
}

static void test_unused(void **state)
{
    (void)state;
    struct offload *offload = offload_new(64);
    offload_free(&offload);
    offload_free(&offload);
}

static int set_up(void **state)
{
    (void)state;
    loop_thread = pthread_self();
    loop = loop_new();
    mailbox = mailbox_new(loop);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mailbox_free(&mailbox);
    loop_free(&loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_work_elsewhere_answers_here, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_limit_and_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sources_take_turns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_has_much_makes_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
