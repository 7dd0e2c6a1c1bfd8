#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/peek.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WAIT_MS = 5000 };

/* A connection over loopback TCP, for what matters here (RCVLOWAT, urgent bytes, resets) is TCP's own. */
struct pair {
    int client, server;
};

static int setup(void **state)
{
    static struct pair pair;
    const int on = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    pair.client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(pair.client, (struct sockaddr *)&at, sizeof(at)), 0);
    pair.server = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(pair.server >= 0);
    close(listener);
    *state = &pair;
    return 0;
}

static int teardown(void **state)
{
    const struct pair *pair = *state;
    if (pair->client >= 0) close(pair->client);
    close(pair->server);
    return 0;
}

static void send_text(const struct pair *pair, const char *text)
{
    assert_int_equal(send(pair->client, text, strlen(text), 0), (ssize_t)strlen(text));
}

/* Whether the server's side becomes readable within the time. */
static bool readable(const struct pair *pair, int wait_ms)
{
    struct pollfd p = {.fd = pair->server, .events = POLLIN};
    return poll(&p, 1, wait_ms) == 1;
}

static void test_silence_then_growth(void **state)
{
    const struct pair *pair = *state;
    char buffer[64];
    size_t len = 99;
    assert_int_equal(peek_look(pair->server, buffer, sizeof(buffer), 0, &len), PEEK_SAME);
    assert_int_equal(len, 0);
    send_text(pair, "GET");
    assert_true(readable(pair, WAIT_MS));
    assert_int_equal(peek_look(pair->server, buffer, sizeof(buffer), 0, &len), PEEK_GREW);
    assert_int_equal(len, 3);
    assert_memory_equal(buffer, "GET", 3);
    /* Nothing was consumed, and nothing has been added. */
    assert_int_equal(peek_look(pair->server, buffer, sizeof(buffer), 3, &len), PEEK_SAME);
    assert_int_equal(recv(pair->server, buffer, sizeof(buffer), 0), 3);
}

static void test_mark_keeps_the_loop_quiet(void **state)
{
    const struct pair *pair = *state;
    char buffer[64];
    size_t len = 0;
    send_text(pair, "GET");
    assert_true(readable(pair, WAIT_MS));
    peek_wait_beyond(pair->server, 3);
    assert_false(readable(pair, 0));
    send_text(pair, " ");
    assert_true(readable(pair, WAIT_MS));
    assert_int_equal(peek_look(pair->server, buffer, sizeof(buffer), 3, &len), PEEK_GREW);
    assert_int_equal(len, 4);
    peek_wait_beyond(pair->server, 4);
    assert_false(readable(pair, 0));
    peek_wait_beyond(pair->server, 0);
    assert_true(readable(pair, 0));
}

static void test_end_behind_bytes_is_seen(void **state)
{
    const struct pair *pair = *state;
    char buffer[64];
    size_t len = 0;
    send_text(pair, "\x16\x03");
    assert_true(readable(pair, WAIT_MS));
    peek_wait_beyond(pair->server, 2);
    assert_false(readable(pair, 0));
    assert_int_equal(shutdown(pair->client, SHUT_WR), 0);
    assert_true(readable(pair, WAIT_MS));
    assert_int_equal(peek_look(pair->server, buffer, sizeof(buffer), 2, &len), PEEK_ENDED);
    assert_int_equal(len, 2);
}

static void test_end_without_bytes(void **state)
{
    const struct pair *pair = *state;
    char buffer[64];
    size_t len = 99;
    assert_int_equal(shutdown(pair->client, SHUT_WR), 0);
    assert_true(readable(pair, WAIT_MS));
    assert_int_equal(peek_look(pair->server, buffer, sizeof(buffer), 0, &len), PEEK_ENDED);
    assert_int_equal(len, 0);
}

static void test_reset_is_seen(void **state)
{
    struct pair *pair = *state;
    char buffer[64];
    size_t len = 0;
    const struct linger linger = {.l_onoff = 1};
    send_text(pair, "GET");
    assert_true(readable(pair, WAIT_MS));
    peek_wait_beyond(pair->server, 3);
    assert_int_equal(setsockopt(pair->client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    close(pair->client);
    pair->client = -1;
    assert_true(readable(pair, WAIT_MS));
    assert_int_equal(peek_look(pair->server, buffer, sizeof(buffer), 3, &len), PEEK_BROKEN);
}

static void test_urgent_byte_is_a_byte(void **state)
{
    const struct pair *pair = *state;
    char buffer[64];
    size_t len = 0;
    assert_int_equal(send(pair->client, "!", 1, MSG_OOB), 1);
    assert_true(readable(pair, WAIT_MS));
    assert_int_equal(peek_look(pair->server, buffer, sizeof(buffer), 0, &len), PEEK_GREW);
    assert_int_equal(len, 1);
    assert_int_equal(buffer[0], '!');
    peek_wait_beyond(pair->server, 1);
    assert_false(readable(pair, 0));
}

/* The kernel says "readable", but shows nothing behind the mark. */
static void test_urgent_byte_behind_others_ends_the_look(void **state)
{
    const struct pair *pair = *state;
    char buffer[64];
    size_t len = 0;
    send_text(pair, "GET");
    assert_int_equal(send(pair->client, "!", 1, MSG_OOB), 1);
    send_text(pair, " /");
    peek_wait_beyond(pair->server, 3);
    assert_true(readable(pair, WAIT_MS));
    assert_int_equal(peek_look(pair->server, buffer, sizeof(buffer), 0, &len), PEEK_GREW);
    assert_int_equal(len, 3);
    assert_int_equal(peek_look(pair->server, buffer, sizeof(buffer), 3, &len), PEEK_ENDED);
    assert_int_equal(len, 3);
}

static void test_limit_bounds_the_look(void **state)
{
    const struct pair *pair = *state;
    char buffer[4];
    size_t len = 0;
    send_text(pair, "0123456789");
    assert_true(readable(pair, WAIT_MS));
    assert_int_equal(peek_look(pair->server, buffer, sizeof(buffer), 0, &len), PEEK_GREW);
    assert_int_equal(len, sizeof(buffer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_silence_then_growth, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mark_keeps_the_loop_quiet, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_behind_bytes_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_without_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_urgent_byte_is_a_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(test_urgent_byte_behind_others_ends_the_look, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limit_bounds_the_look, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
