#include "lib/poller.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct owner {
    int fd;
    uint8_t watched;
    unsigned tag;
    short what; /* since the last turn */
};

static struct loop *loop;
static struct poller *poller;
static struct owner near, far; /* two ends of one connection */
static unsigned called;

static void on_ready(void *owner, unsigned tag, short what)
{
    struct owner *told = owner;
    assert_int_equal(tag, told->tag);
    told->what = (short)(told->what | what);
    called++;
}

static void stop(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
    loop_stop(loop);
}

static void watch(struct owner *owner, short what)
{
    poller_watch(poller, owner->fd, &owner->watched, what, owner, owner->tag);
    assert_int_equal(owner->watched, what);
}

/* Some turns: those in which a socket is ready, and at last one in which time is over. */
static void turn(void)
{
    const struct timeval soon = {.tv_usec = 10 * 1000};
    near.what = far.what = 0;
    called = 0;
    event_base_once(loop_base(loop), -1, EV_TIMEOUT, stop, NULL, &soon);
    loop_run(loop);
}

static int setup(void **state)
{
    int fds[2];
    (void)state;
    loop = loop_new();
    poller = poller_new(loop, on_ready);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    near = (struct owner){.fd = fds[0], .tag = 0};
    far = (struct owner){.fd = fds[1], .tag = POLLER_TAG_MAX};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (near.fd >= 0) close(near.fd);
    if (far.fd >= 0) close(far.fd);
    poller_free(&poller);
    assert_null(poller);
    poller_free(&poller);
    loop_free(&loop);
    return 0;
}

static void test_nothing_is_told_unasked(void **state)
{
    (void)state;
    assert_int_equal(write(far.fd, "x", 1), 1);
    turn();
    assert_int_equal(called, 0);
}

static void test_readable_until_it_is_read(void **state)
{
    char byte;
    (void)state;
    watch(&near, EV_READ);
    turn();
    assert_int_equal(called, 0);
    assert_int_equal(write(far.fd, "x", 1), 1);
    turn();
    assert_int_equal(near.what, EV_READ);
    assert_true(called > 1); /* once for each turn: nobody has read it */
    assert_int_equal(read(near.fd, &byte, 1), 1);
    turn();
    assert_int_equal(called, 0);
}

static void test_owners_are_told_apart(void **state)
{
    (void)state;
    watch(&near, EV_READ);
    watch(&far, EV_WRITE);
    turn();
    assert_int_equal(near.what, 0);
    assert_int_equal(far.what, EV_WRITE);
    assert_int_equal(write(far.fd, "x", 1), 1);
    turn();
    assert_int_equal(near.what, EV_READ);
    assert_int_equal(far.what, EV_WRITE);
}

static void test_what_is_watched_changes(void **state)
{
    (void)state;
    watch(&near, EV_WRITE);
    watch(&near, EV_WRITE);
    watch(&near, EV_READ);
    turn();
    assert_int_equal(called, 0);
    watch(&near, EV_READ | EV_WRITE);
    assert_int_equal(write(far.fd, "x", 1), 1);
    turn();
    assert_int_equal(near.what, EV_READ | EV_WRITE);
    watch(&near, 0);
    turn();
    assert_int_equal(called, 0);
    watch(&near, EV_READ);
    turn();
    assert_int_equal(near.what, EV_READ);
}

static void test_a_broken_socket_is_ready_for_everything(void **state)
{
    (void)state;
    watch(&near, EV_READ);
    close(far.fd);
    far.fd = -1;
    turn();
    assert_int_equal(near.what, EV_READ | EV_WRITE);
}

static void test_a_closed_socket_is_forgotten(void **state)
{
    (void)state;
    watch(&near, EV_READ | EV_WRITE);
    close(near.fd);
    near.fd = -1;
    turn();
    assert_int_equal(called, 0);
}

/* The number of a closed descriptor comes back at once; what was watched before says nothing about it. */
static void test_a_number_used_again(void **state)
{
    (void)state;
    watch(&near, EV_WRITE);
    int number = near.fd;
    close(near.fd);
    near.watched = 0;
    near.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(near.fd, number);
    watch(&near, EV_WRITE);
    turn();
    assert_int_equal(near.what, EV_WRITE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_is_told_unasked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_readable_until_it_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_owners_are_told_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_watched_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_broken_socket_is_ready_for_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_closed_socket_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_number_used_again, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
