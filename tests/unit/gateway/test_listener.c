#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Listen on a port of the kernel's choice, which *at gets. */
static int listen_somewhere(struct endpoint *at)
{
    *at = (struct endpoint){.len = sizeof(at->ip.in)};
    at->ip.in.sin_family = AF_INET;
    at->ip.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, &at->sa, at->len), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, &at->sa, &at->len), 0);
    return fd;
}

static void expect(const struct endpoint *at, int error, const char *says)
{
    char why[512];
    listener_explain(at, error, why, sizeof(why));
    if (strstr(why, says) == NULL) print_error("why: %s\n", why);
    assert_non_null(strstr(why, says));
    assert_ptr_equal(strstr(why, "cannot listen on 127.0.0.1:"), why);
}

static void test_a_socket_of_our_own(void **state)
{
    (void)state;
    struct endpoint at;
    int fd = listen_somewhere(&at);
    expect(&at, EADDRINUSE, "BindIPv6Only=ipv6-only");
    close(fd);
    expect(&at, EADDRINUSE, "in use by another program");
    expect(&at, EACCES, "CAP_NET_BIND_SERVICE");
}

/* A process of that name holds the socket; explained is what is said of it. */
static void explain_holder(const char *name, const char *explained)
{
    struct endpoint at;
    int named[2];
    char byte;
    int fd = listen_somewhere(&at);
    assert_int_equal(pipe(named), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        prctl(PR_SET_NAME, name);
        (void)!write(named[1], "", 1);
        pause();
        _exit(0);
    }
    close(fd);
    assert_int_equal(read(named[0], &byte, 1), 1);
    expect(&at, EADDRINUSE, explained);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(named[0]);
    close(named[1]);
}

static void test_others(void **state)
{
    (void)state;
    explain_holder("postern-gateway", "a gateway that runs already");
    explain_holder("some-server", "in use by some-server (pid ");
    explain_holder("some-server", "move it to another port");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_socket_of_our_own),
        cmocka_unit_test(test_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
