#include "lib/fdpass.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int pair[2];

static int setup(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        if (pair[i] >= 0) close(pair[i]);
    return 0;
}

static bool same_file(int a, int b)
{
    struct stat sa, sb;
    assert_int_equal(fstat(a, &sa), 0);
    assert_int_equal(fstat(b, &sb), 0);
    return sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

/* The lowest free descriptor: two calls that agree say that nothing leaked between them. */
static int lowest_free(void)
{
    int fd = dup(pair[0]);
    assert_true(fd >= 0);
    close(fd);
    return fd;
}

static enum fdpass_status receive(char *data, size_t cap, size_t *len, int *fd)
{
    return fdpass_recv(pair[1], data, cap, len, fd);
}

static void test_passes_a_descriptor(void **state)
{
    (void)state;
    int ends[2], fd;
    char data[16];
    size_t len;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fdpass_send(pair[0], ends[0], "hello", 5), 0);
    assert_int_equal(receive(data, sizeof(data), &len, &fd), FDPASS_OK);
    assert_int_equal(len, 5);
    assert_memory_equal(data, "hello", 5);
    assert_true(fd >= 0 && fd != ends[0]);
    assert_true(same_file(fd, ends[0]));
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    close(ends[0]);
    close(ends[1]);
}

static void test_keeps_messages_apart(void **state)
{
    (void)state;
    char data[16];
    size_t len;
    int fd, before = lowest_free();
    assert_int_equal(fdpass_send(pair[0], -1, "one", 3), 0);
    assert_int_equal(fdpass_send(pair[0], pair[0], "three", 5), 0);
    assert_int_equal(receive(data, sizeof(data), &len, &fd), FDPASS_OK);
    assert_int_equal(len, 3);
    assert_int_equal(fd, -1);
    assert_int_equal(receive(data, 5, &len, &fd), FDPASS_OK); /* exactly as long as the message */
    assert_int_equal(len, 5);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(lowest_free(), before);
}

static void test_again_and_eof(void **state)
{
    (void)state;
    char data[16];
    size_t len;
    int fd;
    assert_int_equal(receive(data, sizeof(data), &len, &fd), FDPASS_AGAIN);
    assert_int_equal(fdpass_send(pair[0], -1, "last", 4), 0);
    close(pair[0]);
    pair[0] = -1;
    assert_int_equal(receive(data, sizeof(data), &len, &fd), FDPASS_OK);
    assert_int_equal(receive(data, sizeof(data), &len, &fd), FDPASS_EOF);
    assert_int_equal(fdpass_recv(-1, data, sizeof(data), &len, &fd), FDPASS_ERROR);
    assert_int_equal(errno, EBADF);
}

static void test_send_to_a_dead_peer(void **state)
{
    (void)state;
    close(pair[1]);
    pair[1] = -1;
    assert_int_equal(fdpass_send(pair[0], pair[0], "x", 1), -1); /* SIGPIPE would end the test */
    assert_int_equal(errno, EPIPE);
}

static void test_full_queue(void **state)
{
    (void)state;
    char data[1024] = {0};
    int sent = 0;
    while (sent < 100000 && fdpass_send(pair[0], -1, data, sizeof(data)) == 0)
        sent++;
    assert_int_equal(errno, EAGAIN);
    assert_true(sent > 0 && sent < 100000);
}

static void test_cut_data(void **state)
{
    (void)state;
    char data[4];
    size_t len;
    int fd, before = lowest_free();
    assert_int_equal(fdpass_send(pair[0], pair[0], "12345", 5), 0);
    assert_int_equal(receive(data, sizeof(data), &len, &fd), FDPASS_TRUNCATED);
    assert_int_equal(fd, -1);
    assert_int_equal(lowest_free(), before);
    assert_int_equal(receive(data, sizeof(data), &len, &fd), FDPASS_AGAIN);
}

/* A sender that we did not write may put many descriptors into a message. */
static void test_more_than_one_descriptor(void **state)
{
    (void)state;
    for (size_t count = 2; count <= 8; count++) {
        union {
            struct cmsghdr align;
            char bytes[CMSG_SPACE(8 * sizeof(int))];
        } control = {0};
        int fds[8], fd, before = lowest_free();
        char data[4] = "x";
        size_t len;
        struct iovec iov = {.iov_base = data, .iov_len = 1};
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes};
        for (size_t i = 0; i < 8; i++)
            fds[i] = pair[i % 2];
        msg.msg_controllen = CMSG_LEN(count * sizeof(int));
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(cmsg), fds, count * sizeof(int));
        assert_int_equal(sendmsg(pair[0], &msg, 0), 1);
        assert_int_equal(receive(data, sizeof(data), &len, &fd), FDPASS_TRUNCATED);
        assert_int_equal(fd, -1);
        assert_int_equal(lowest_free(), before);
    }
}

static void test_no_free_descriptor(void **state)
{
    (void)state;
    struct rlimit old, few;
    char data[4];
    size_t len;
    int fd;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(fdpass_send(pair[0], pair[0], "x", 1), 0);
    few = old;
    few.rlim_cur = (rlim_t)lowest_free();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    enum fdpass_status status = receive(data, sizeof(data), &len, &fd);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(status, FDPASS_TRUNCATED);
    assert_int_equal(fd, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_passes_a_descriptor, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keeps_messages_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_again_and_eof, setup, teardown),
        cmocka_unit_test_setup_teardown(test_send_to_a_dead_peer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_queue, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut_data, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_than_one_descriptor, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_free_descriptor, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
