#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/port_holder.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Listen on a port of the kernel's choice; *at gets address and port. */
static int listen_on(int family, struct addr *at)
{
    socklen_t len = family == AF_INET ? sizeof(at->in) : sizeof(at->in6);
    memset(at, 0, sizeof(*at));
    at->sa.sa_family = (sa_family_t)family;
    if (family == AF_INET) at->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (family == AF_INET6) at->in6.sin6_addr = in6addr_loopback;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, &at->sa, len), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, &at->sa, &len), 0);
    return fd;
}

static void expect_self(const struct addr *at)
{
    char text[64], wanted[32];
    assert_true(port_holder_find(at, text, sizeof(text)));
    snprintf(wanted, sizeof(wanted), "(pid %d)", (int)getpid());
    assert_non_null(strstr(text, wanted));
}

static void test_finds_a_listener(void **state)
{
    (void)state;
    struct addr at;
    char text[64];
    int fd = listen_on(AF_INET, &at);
    expect_self(&at);
    struct addr any = at;
    any.in.sin_addr.s_addr = htonl(INADDR_ANY);
    expect_self(&any);
    struct addr other = at;
    other.in.sin_addr.s_addr = htonl(0x7f000002);
    assert_false(port_holder_find(&other, text, sizeof(text)));
    close(fd);
    assert_false(port_holder_find(&at, text, sizeof(text)));
}

static void test_finds_an_ipv6_listener(void **state)
{
    (void)state;
    struct addr at;
    int fd = listen_on(AF_INET6, &at);
    expect_self(&at);
    struct addr any = at;
    any.in6.sin6_addr = in6addr_any;
    expect_self(&any);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_a_listener),
        cmocka_unit_test(test_finds_an_ipv6_listener),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
