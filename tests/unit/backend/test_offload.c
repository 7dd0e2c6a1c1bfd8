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
            assert_int_equal(offload_post(offload, mailbox, work, done, &numbers[i]), 0);
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

/* Jobs beyond the limit are refused, and those begun are finished before offload_free returns; all are answered. */
static void test_limit_and_end(void **state)
{
    struct offload *offload = offload_new(1);
    static int number;
    int accepted = 0;

    (void)state;
    atomic_store(&worked, 0);
    answered = 0;
    wanted = -1;
    pthread_mutex_lock(&gate);
    while (accepted < 100000 && offload_post(offload, mailbox, wait_at_gate, done, &number) == 0)
        accepted++;
    assert_in_range(accepted, 100, 10000);
    pthread_mutex_unlock(&gate);
    offload_free(&offload);
    assert_true(atomic_load(&worked) <= accepted);
    wanted = accepted;
    loop_run(loop);
    assert_int_equal(answered, accepted);
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
        cmocka_unit_test_setup_teardown(test_unused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
