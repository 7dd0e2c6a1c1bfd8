#include "gateway/keepalive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

static int get(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);
    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void check_set(int fd)
{
    assert_int_equal(get(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(get(fd, IPPROTO_TCP, TCP_KEEPIDLE), 300);
    assert_int_equal(get(fd, IPPROTO_TCP, TCP_KEEPINTVL), 75);
    assert_int_equal(get(fd, IPPROTO_TCP, TCP_KEEPCNT), 4);
    assert_int_equal(get(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 61000);
}

/* What is set on a listener holds for each connection, at no cost for it. */
static void test_accepted_sockets_inherit(void **state)
{
    (void)state;
    const struct keepalive keepalive = {.idle_ms = 300000, .user_timeout_ms = 61000};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    keepalive_set(listener, &keepalive);
    check_set(listener);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&at, len), 0);
    int accepted = accept(listener, NULL, NULL);
    check_set(accepted);
    assert_int_equal(get(client, SOL_SOCKET, SO_KEEPALIVE), 0);
    close(accepted);
    close(client);
    close(listener);
}

static void test_unset_changes_nothing(void **state)
{
    (void)state;
    const struct keepalive none = {0};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    keepalive_set(fd, &none);
    assert_int_equal(get(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    assert_int_equal(get(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted_sockets_inherit),
        cmocka_unit_test(test_unset_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
