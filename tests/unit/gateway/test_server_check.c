#include "gateway/server_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/event.h>
#include <string.h>
#include <sys/resource.h>

/* What is believed after each check of checks ('+' succeeded, '-' failed) with rise 2 and fall 3, beginning up. */
static void expect(const char *checks, const char *believed)
{
    bool down = false;
    uint32_t streak = 0;
    for (size_t i = 0; checks[i] != '\0'; i++) {
        down = server_check_decide(down, checks[i] == '+', 2, 3, &streak);
        if (down != (believed[i] == 'd')) fail_msg("%s: %zu: %s", checks, i, down ? "down" : "up");
    }
}

static void test_rise_and_fall(void **state)
{
    (void)state;
    expect("+++---", "uuuuud");
    expect("--+--+--+", "uuuuuuuuu"); /* not in a row */
    expect("---++", "uuddu");
    expect("---+-+-++", "uuddddddu");
    expect("---++---", "uudduuud");
    expect("---++--+---", "uudduuuuuud");
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    loop_stop(arg);
}

/* Lets the first check of a server where nobody listens come to its end; whether the server is down then. */
static bool down_after_check(rlim_t descriptors)
{
    static const struct timeval turn = {.tv_usec = 50000};
    char why[128];
    struct rlimit before, low;
    struct server_text server;
    assert_int_equal(server_text_parse("unix:/nobody/listens/here", &server, why, sizeof(why)), 0);
    const struct upstream_config config = {.name = "u",
                                           .servers = &server,
                                           .server_count = 1,
                                           .check_interval_ms = 3600000,
                                           .check_timeout_ms = 1000,
                                           .rise = 1,
                                           .fall = 1};
    struct loop *loop = loop_new();
    struct upstream_state *state = upstream_state_new(&config, 1, 1);
    struct server_checks *checks = server_checks_new(loop, state);
    struct event *timer = evtimer_new(loop_base(loop), on_time, loop);
    evtimer_add(timer, &turn);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = before;
    if (descriptors > 0) low.rlim_cur = descriptors;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    loop_run(loop);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    bool down = atomic_load(&upstream_state_servers(state, 0)->down);
    event_free(timer);
    server_checks_free(&checks);
    upstream_state_free(&state);
    loop_free(&loop);
    server_text_clear(&server);
    return down;
}

static void test_a_check_that_cannot_be_made_says_nothing(void **state)
{
    (void)state;
    assert_true(down_after_check(0));
    assert_false(down_after_check(3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rise_and_fall),
                                       cmocka_unit_test(test_a_check_that_cannot_be_made_says_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
