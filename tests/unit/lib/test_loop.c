#include "lib/loop.c" /* NOLINT(bugprone-suspicious-include): the tests look at timers that must not be set */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a test's callbacks did, in order: "a b c ". */
static char story[256];
static struct loop *loop;
static struct deadline_queue *queue, *other;

static void tell(const char *word)
{
    size_t len = strlen(story);
    snprintf(story + len, sizeof(story) - len, "%s ", word);
}

static int setup(void **state)
{
    (void)state;
    story[0] = '\0';
    loop = loop_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    deadline_queue_free(&queue);
    deadline_queue_free(&other);
    loop_free(&loop);
    return 0;
}

static void stop(void *arg)
{
    (void)arg;
    tell("stop");
    loop_stop(loop);
}

static void say(void *arg)
{
    tell(arg);
}

/* Not "epoll (with changelist)": see loop_new. */
static void test_epoll_without_change_lists(void **state)
{
    (void)state;
    assert_string_equal(event_base_get_method(loop_base(loop)), "epoll");
}

static void test_stop_before_run(void **state)
{
    (void)state;
    loop_stop(loop);
    loop_run(loop);
    struct loop_deferred d = {.fn = stop};
    loop_defer(loop, &d);
    loop_run(loop); /* the stop was used up */
    assert_string_equal(story, "stop ");
}

static void test_deferred_runs_once_in_order(void **state)
{
    (void)state;
    static char one[] = "one", two[] = "two", three[] = "three";
    struct loop_deferred a = {.fn = say, .arg = one}, b = {.fn = say, .arg = two}, c = {.fn = say, .arg = three};
    struct loop_deferred end = {.fn = stop};
    loop_defer(loop, &a);
    loop_defer(loop, &b);
    loop_defer(loop, &c);
    loop_defer(loop, &a);
    loop_defer(loop, &end);
    loop_defer_cancel(&b);
    loop_defer_cancel(&b);
    loop_run(loop);
    assert_string_equal(story, "one three stop ");
    loop_defer(loop, &b); /* usable again */
    loop_defer(loop, &end);
    loop_run(loop);
    assert_string_equal(story, "one three stop two stop ");
}

static void cancel(void *arg)
{
    loop_defer_cancel(arg);
}

static void test_cancel_in_the_same_round(void **state)
{
    (void)state;
    static struct loop_deferred first, victim, end;
    static char gone[] = "victim";
    first = (struct loop_deferred){.fn = cancel, .arg = &victim};
    victim = (struct loop_deferred){.fn = say, .arg = gone};
    end = (struct loop_deferred){.fn = stop};
    loop_defer(loop, &first);
    loop_defer(loop, &victim);
    loop_defer(loop, &end);
    loop_run(loop);
    assert_string_equal(story, "stop ");
}

static struct loop_deferred busy;
static int busy_left, busy_before_timer;

static void stay_busy(void *arg)
{
    (void)arg;
    if (--busy_left > 0)
        loop_defer(loop, &busy);
    else
        loop_stop(loop);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
    if (busy_before_timer == 0) busy_before_timer = busy_left;
}

/* Work that defers itself for ever starves no event: between two drains the loop looks at its events, not waiting. */
static void test_deferred_work_is_bounded(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(write(ends[0], "x", 1), 1);
    struct event *event = event_new(loop_base(loop), ends[1], EV_READ | EV_PERSIST, on_event, NULL);
    assert_non_null(event);
    busy = (struct loop_deferred){.fn = stay_busy};
    busy_left = 1000;
    busy_before_timer = 0;
    loop_defer(loop, &busy);
    event_add(event, NULL);
    loop_run(loop);
    assert_true(busy_before_timer > 1000 - 2 * LOOP_ROUNDS_MAX);
    event_free(event);
    close(ends[0]);
    close(ends[1]);
}

static char *held;

static void read_held(void *arg)
{
    (void)arg;
    assert_string_equal(held, "still here"); /* ASan sees it if not */
    loop_stop(loop);
}

static void free_held(void *arg)
{
    loop_defer_free(loop, held);
    loop_defer(loop, arg);
}

static void test_defer_free(void **state)
{
    (void)state;
    static struct loop_deferred later;
    struct loop_deferred d = {.fn = free_held, .arg = &later};
    later = (struct loop_deferred){.fn = read_held};
    held = mem_strdup("still here");
    loop_defer(loop, &d);
    loop_run(loop);
    assert_int_equal(loop->block_count, 0);
    for (int i = 0; i < 100; i++) /* and those that no turn comes for are freed with the loop */
        loop_defer_free(loop, mem_alloc(10));
}

static void on_signal(int signo, void *arg)
{
    char word[8];
    snprintf(word, sizeof(word), "%s%d", (char *)arg, signo == SIGUSR1 ? 1 : 2);
    tell(word);
    if (signo == SIGUSR2) loop_stop(loop);
}

static void raise_both(void *arg)
{
    (void)arg;
    raise(SIGUSR1);
    raise(SIGUSR2);
}

static void test_signals(void **state)
{
    (void)state;
    static char usr[] = "usr";
    struct loop_deferred d = {.fn = raise_both};
    loop_on_signal(loop, SIGUSR1, on_signal, usr);
    loop_on_signal(loop, SIGUSR2, on_signal, usr);
    loop_defer(loop, &d);
    loop_run(loop);
    assert_string_equal(story, "usr1 usr2 ");
}

/* A worker leaves and frees the loop that it inherited from the master: the master's events and signals stay. */
static void test_child_frees_inherited_loop(void **state)
{
    (void)state;
    static char usr[] = "usr";
    int ends[2], status;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    struct event *event = event_new(loop_base(loop), ends[1], EV_READ | EV_PERSIST, on_event, NULL);
    assert_non_null(event);
    event_add(event, NULL);
    loop_on_signal(loop, SIGUSR2, on_signal, usr);
    event_base_loop(loop_base(loop), EVLOOP_NONBLOCK); /* let the changes reach the kernel */
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (event_reinit(loop_base(loop)) != 0) _exit(1);
        event_free(event);
        loop_free(&loop);
        struct loop *own = loop_new();
        loop_free(&own);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    struct loop_deferred d = {.fn = raise_both};
    signal(SIGUSR1, SIG_IGN);
    busy_left = 7;
    busy_before_timer = 0;
    assert_int_equal(write(ends[0], "x", 1), 1);
    loop_defer(loop, &d);
    loop_run(loop);
    signal(SIGUSR1, SIG_DFL);
    assert_string_equal(story, "usr2 ");
    assert_int_equal(busy_before_timer, 7);
    event_free(event);
    close(ends[0]);
    close(ends[1]);
}

struct member {
    struct deadline deadline;
    const char *name;
    struct member *other; /* what its fn acts on */
};

static struct member members[3];

static void init_members(void)
{
    static const char *const names[] = {"a", "b", "c"};
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        members[i] = (struct member){.name = names[i]};
}

static void tell_member(struct deadline *d, void *arg)
{
    struct member *m = CONTAINER_OF(d, struct member, deadline);
    (void)arg;
    assert_false(list_linked(&d->link));
    tell(m->name);
    if (list_empty(&queue->members)) loop_stop(loop);
}

static void test_deadlines_expire_in_order(void **state)
{
    (void)state;
    init_members();
    queue = deadline_queue_new(loop, 20, tell_member, NULL);
    int64_t begin_ms = loop_now_ms(loop);
    for (size_t i = 0; i < 3; i++)
        deadline_arm(queue, &members[i].deadline);
    deadline_arm(queue, &members[0].deadline); /* to the end */
    loop_run(loop);
    assert_string_equal(story, "b c a ");
    assert_true(loop_now_ms(loop) - begin_ms >= 20);
    assert_false(evtimer_pending(queue->timer, NULL));
}

static void test_empty_queue_has_no_timer(void **state)
{
    (void)state;
    init_members();
    queue = deadline_queue_new(loop, 20, tell_member, NULL);
    assert_false(evtimer_pending(queue->timer, NULL));
    deadline_disarm(&members[0].deadline); /* never armed */
    deadline_arm(queue, &members[0].deadline);
    deadline_arm(queue, &members[1].deadline);
    assert_true(evtimer_pending(queue->timer, NULL));
    deadline_disarm(&members[0].deadline);
    deadline_disarm(&members[0].deadline);
    assert_true(evtimer_pending(queue->timer, NULL));
    deadline_disarm(&members[1].deadline);
    assert_false(evtimer_pending(queue->timer, NULL));
    deadline_arm(queue, &members[1].deadline);
    other = deadline_queue_new(loop, 20, tell_member, NULL);
    deadline_arm(other, &members[1].deadline); /* from one queue into another */
    assert_false(evtimer_pending(queue->timer, NULL));
    assert_true(evtimer_pending(other->timer, NULL));
}

/* Arming again leaves the timer where it is; it fires early, and is then set for the new head. */
static void test_timer_is_set_lazily(void **state)
{
    (void)state;
    struct timeval before, after;
    init_members();
    queue = deadline_queue_new(loop, 30, tell_member, NULL);
    deadline_arm(queue, &members[0].deadline);
    assert_true(evtimer_pending(queue->timer, &before));
    int64_t armed_ms = loop_now_ms(loop);
    while (loop_now_ms(loop) < armed_ms + 5)
        ;
    deadline_arm(queue, &members[0].deadline);
    assert_true(evtimer_pending(queue->timer, &after));
    assert_memory_equal(&before, &after, sizeof(before));
    loop_run(loop);
    assert_true(loop_now_ms(loop) >= armed_ms + 35);
    assert_string_equal(story, "a ");
}

static void act_on_other(struct deadline *d, void *arg)
{
    struct member *m = CONTAINER_OF(d, struct member, deadline);
    const char *action = arg;
    tell(m->name);
    if (m->other && strcmp(action, "disarm") == 0) deadline_disarm(&m->other->deadline);
    if (m->other && strcmp(action, "arm") == 0) deadline_arm(queue, &m->other->deadline);
    m->other = NULL;
    if (strcmp(action, "free") == 0) deadline_queue_free(&queue);
    if (!queue || list_empty(&queue->members)) loop_stop(loop);
}

static void test_fn_disarms_another(void **state)
{
    (void)state;
    static char action[] = "disarm";
    init_members();
    members[0].other = &members[1];
    queue = deadline_queue_new(loop, 1, act_on_other, action);
    for (size_t i = 0; i < 3; i++)
        deadline_arm(queue, &members[i].deadline);
    loop_run(loop);
    assert_string_equal(story, "a c ");
}

static void test_fn_arms_again(void **state)
{
    (void)state;
    static char action[] = "arm";
    init_members();
    members[0].other = &members[0];
    members[2].other = &members[1];
    queue = deadline_queue_new(loop, 0, act_on_other, action); /* a timeout of 0 must not spin in one turn */
    deadline_arm(queue, &members[0].deadline);
    deadline_arm(queue, &members[2].deadline);
    loop_run(loop);
    assert_string_equal(story, "a c a b ");
    assert_false(evtimer_pending(queue->timer, NULL));
}

static void test_fn_frees_the_queue(void **state)
{
    (void)state;
    static char action[] = "free";
    init_members();
    queue = deadline_queue_new(loop, 1, act_on_other, action);
    for (size_t i = 0; i < 3; i++)
        deadline_arm(queue, &members[i].deadline);
    loop_run(loop);
    assert_string_equal(story, "a ");
    assert_null(queue);
    deadline_disarm(&members[1].deadline); /* was taken out: harmless */
    assert_false(list_linked(&members[1].deadline.link));
}

static int64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void note_now(void *arg)
{
    int64_t *now_ms = arg;
    now_ms[0] = loop_now_ms(loop);
    int64_t begin_ns = clock_ns();
    while (clock_ns() - begin_ns < 5000000)
        ;
    now_ms[1] = loop_now_ms(loop);
    loop_stop(loop);
}

static void test_time_stands_still_in_a_turn(void **state)
{
    (void)state;
    int64_t now_ms[2] = {0};
    struct loop_deferred d = {.fn = note_now, .arg = now_ms};
    loop_defer(loop, &d);
    loop_run(loop);
    assert_int_equal(now_ms[0], now_ms[1]);
    assert_true(loop_now_ms(loop) >= now_ms[0] + 5);
}

#define LOOP_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(test_epoll_without_change_lists),
        LOOP_TEST(test_stop_before_run),
        LOOP_TEST(test_deferred_runs_once_in_order),
        LOOP_TEST(test_cancel_in_the_same_round),
        LOOP_TEST(test_deferred_work_is_bounded),
        LOOP_TEST(test_defer_free),
        LOOP_TEST(test_signals),
        LOOP_TEST(test_child_frees_inherited_loop),
        LOOP_TEST(test_deadlines_expire_in_order),
        LOOP_TEST(test_empty_queue_has_no_timer),
        LOOP_TEST(test_timer_is_set_lazily),
        LOOP_TEST(test_fn_disarms_another),
        LOOP_TEST(test_fn_arms_again),
        LOOP_TEST(test_fn_frees_the_queue),
        LOOP_TEST(test_time_stands_still_in_a_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
