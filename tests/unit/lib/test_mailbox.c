#include "lib/mailbox.h"

#include "lib/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

enum { SENDERS = 4, CALLS = 20000 };

struct sender {
    struct mailbox *mailbox;
    pthread_t thread;
    int next; /* what the reader expects from this sender */
};

struct call {
    struct sender *sender;
    int number;
};

static struct loop *loop;
static int senders_left, calls_done;

static void stop(void *arg)
{
    (void)arg;
    loop_stop(loop);
}

static void take_call(void *arg)
{
    struct call *call = arg;
    assert_int_equal(call->number, call->sender->next);
    calls_done++;
    if (++call->sender->next == CALLS && --senders_left == 0) loop_stop(loop);
    free(call);
}

static void *send_calls(void *arg)
{
    struct sender *sender = arg;
    for (int i = 0; i < CALLS; i++) {
        struct call *call = MEM_NEW(struct call);
        *call = (struct call){.sender = sender, .number = i};
        mailbox_post(sender->mailbox, take_call, call);
    }
    return NULL;
}

static void test_order_of_each_sender(void **state)
{
    (void)state;
    struct sender senders[SENDERS] = {0};
    loop = loop_new();
    struct mailbox *mailbox = mailbox_new(loop);
    senders_left = SENDERS;
    calls_done = 0;
    for (int i = 0; i < SENDERS; i++) {
        senders[i].mailbox = mailbox;
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_calls, &senders[i]), 0);
    }
    loop_run(loop);
    for (int i = 0; i < SENDERS; i++)
        assert_int_equal(pthread_join(senders[i].thread, NULL), 0);
    assert_int_equal(calls_done, SENDERS * CALLS);
    mailbox_free(&mailbox);
    assert_null(mailbox);
    mailbox_free(&mailbox);
    loop_free(&loop);
}

/* Two threads play ping-pong: each wake arrives, however empty the mailboxes have become. */
struct player {
    struct loop *loop;
    struct mailbox *mailbox;
    struct player *partner;
    int left;
};

static void end_play(void *arg)
{
    loop_stop(((struct player *)arg)->loop);
}

static void hit(void *arg)
{
    struct player *p = arg;
    if (--p->left > 0) {
        mailbox_post(p->partner->mailbox, hit, p->partner);
        return;
    }
    mailbox_post(p->partner->mailbox, end_play, p->partner);
    loop_stop(p->loop);
}

static void *play(void *arg)
{
    loop_run(((struct player *)arg)->loop);
    return NULL;
}

static void test_ping_pong(void **state)
{
    (void)state;
    struct player a = {.left = 5000}, b = {.left = 5000, .partner = &a};
    pthread_t thread;
    a.partner = &b;
    a.loop = loop_new();
    b.loop = loop_new();
    a.mailbox = mailbox_new(a.loop);
    b.mailbox = mailbox_new(b.loop);
    assert_int_equal(pthread_create(&thread, NULL, play, &b), 0);
    mailbox_post(a.mailbox, hit, &a);
    loop_run(a.loop);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(a.left, 0);
    assert_int_equal(b.left, 1);
    mailbox_free(&a.mailbox);
    mailbox_free(&b.mailbox);
    loop_free(&a.loop);
    loop_free(&b.loop);
}

static struct mailbox *box;
static int turns_seen, posted;
static struct loop_deferred turn_end;

static void count_turn(void *arg)
{
    (void)arg;
    turns_seen++;
}

static void post_again(void *arg)
{
    loop_defer(loop, &turn_end);
    mailbox_post(box, ++posted < 10 ? post_again : stop, arg);
}

/* A call that posts another does not keep the loop from the rest of its work. */
static void test_a_post_from_a_call_waits_a_turn(void **state)
{
    (void)state;
    loop = loop_new();
    box = mailbox_new(loop);
    turn_end = (struct loop_deferred){.fn = count_turn};
    turns_seen = posted = 0;
    mailbox_post(box, post_again, NULL);
    loop_run(loop);
    assert_int_equal(turns_seen, 10);
    mailbox_free(&box);
    loop_free(&loop);
}

static void free_box(void *arg)
{
    (void)arg;
    mailbox_free(&box);
    loop_stop(loop);
}

static void never(void *arg)
{
    (void)arg;
    fail_msg("a dropped call was made");
}

static void test_free_drops_what_waits(void **state)
{
    (void)state;
    loop = loop_new();
    box = mailbox_new(loop);
    mailbox_post(box, never, NULL);
    mailbox_free(&box);
    box = mailbox_new(loop);
    mailbox_post(box, free_box, NULL); /* from within a call, with another of the same batch behind it */
    mailbox_post(box, never, NULL);
    loop_run(loop);
    assert_null(box);
    loop_free(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_of_each_sender),
        cmocka_unit_test(test_ping_pong),
        cmocka_unit_test(test_a_post_from_a_call_waits_a_turn),
        cmocka_unit_test(test_free_drops_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
