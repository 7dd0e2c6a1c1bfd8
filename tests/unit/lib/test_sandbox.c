#include "lib/sandbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/test_sandbox.XXXXXX";
static char why[256];

static const struct sandbox_path PATHS[] = {{"open", true}, {"shut", false}};

enum { KILLED = 1000, NO_SANDBOX = 200 };

static bool landlock;

/* The exit status of a child that enters the sandbox and runs fn, or KILLED if SIGSYS ended it. */
static int run(const struct sandbox_rules *rules, int (*fn)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (sandbox_enter(rules, &landlock, why, sizeof why) < 0) _exit(NO_SANDBOX);
        _exit(fn());
    }
    int status = -1;
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status)) return WTERMSIG(status) == SIGSYS ? KILLED : -WTERMSIG(status);
    return WEXITSTATUS(status);
}

static const struct sandbox_rules NOTHING = {0};
static const struct sandbox_rules FILES = {.paths = PATHS, .path_count = 2, .may_write_files = true};
static const struct sandbox_rules THREADS = {.may_start_threads = true};
static const struct sandbox_rules FORKS = {.may_fork = true};
static const struct sandbox_rules BINDS = {.may_bind = true};
static const struct sandbox_rules BINDS_SOURCE = {.may_bind_source = true};

static void skip_if_compiled_out(void)
{
#ifdef POSTERN_SANITIZED
    skip();
#endif
}

static int serve(void)
{
    int pair[2], fds[2];
    struct epoll_event e = {.events = EPOLLIN}, got;
    struct msghdr msg = {0};
    char c[2], control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec iov = {.iov_base = c, .iov_len = 1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return 1;
    int ep = epoll_create1(EPOLL_CLOEXEC), ev = eventfd(1, EFD_NONBLOCK);
    if (ep < 0 || ev < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, ev, &e) < 0 || epoll_wait(ep, &got, 1, 1000) != 1) return 2;
    msg.msg_iov = &iov;
    msg.msg_iovlen = 1;
    msg.msg_control = control;
    msg.msg_controllen = sizeof control;
    struct cmsghdr *cm = CMSG_FIRSTHDR(&msg);
    cm->cmsg_level = SOL_SOCKET;
    cm->cmsg_type = SCM_RIGHTS;
    cm->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(cm), &ev, sizeof ev);
    if (sendmsg(pair[0], &msg, MSG_NOSIGNAL) != 1 || recvmsg(pair[1], &msg, MSG_CMSG_CLOEXEC) != 1) return 3;
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0 || write(fds[1], "x", 1) != 1) return 4;
    if (splice(fds[0], NULL, pair[0], NULL, 1, 0) != 1) return 5;
    if (recv(pair[1], c, 1, 0) != 1 || shutdown(pair[0], SHUT_WR) < 0) return 6;
    int one = 1, s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), s6 = socket(AF_INET6, SOCK_STREAM, 0);
    if (s < 0 || s6 < 0 || setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one) < 0) return 7;
    int waiting;
    if (ioctl(pair[0], FIONREAD, &waiting) < 0) return 8;
    return 0;
}

static int use_memory(void)
{
    char random[16];
    struct timespec t;
    struct rlimit limit;
    char *big = malloc(8 << 20);
    if (big == NULL) return 1;
    memset(big, 1, 8 << 20);
    free(big);
    if (getrandom(random, sizeof random, 0) != sizeof random || clock_gettime(CLOCK_MONOTONIC, &t) < 0) return 2;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || prctl(PR_SET_NAME, "boxed") < 0) return 3;
    return 0;
}

static void a_server_can_work(void **state)
{
    (void)state;
    skip_if_compiled_out();
    assert_int_equal(run(&NOTHING, serve), 0);
    assert_int_equal(run(&NOTHING, use_memory), 0);
    assert_int_equal(run(&FILES, serve), 0);
}

static int open_foreign(void)
{
    if (open("/etc/passwd", O_RDONLY) >= 0) return 1;
    if (errno != EACCES) return 2;
    return open("foreign", O_RDONLY) >= 0 || errno != EACCES ? 3 : 0;
}

static int write_foreign(void)
{
    if (open("new", O_WRONLY | O_CREAT, 0600) >= 0 || errno != EACCES) return 1;
    if (open("shut/file", O_WRONLY) >= 0 || errno != EACCES) return 2;
    if (unlink("shut/file") == 0 || errno != EACCES) return 3;
    if (rename("open/a", "shut/a") == 0) return 4;
    return open("shut/file", O_RDWR | O_TRUNC) >= 0 || errno != EACCES ? 5 : 0;
}

static int write_own(void)
{
    char c;
    int fd = open("open/db", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    if (fd < 0 || fcntl(fd, F_SETLK, &lock) < 0 || ftruncate(fd, 8192) < 0) return 1;
    if (pwrite(fd, "x", 1, 4096) != 1 || pread(fd, &c, 1, 4096) != 1) return 2;
    void *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED || fsync(fd) < 0 || fdatasync(fd) < 0) return 3;
    if (rename("open/db", "open/other") < 0 || mkdir("open/sub", 0700) < 0) return 4;
    if (rename("open/other", "open/sub/db") < 0 || unlink("open/sub/db") < 0 || rmdir("open/sub") < 0) return 5;
    fd = open("shut/file", O_RDONLY);
    return fd >= 0 && read(fd, &c, 1) == 1 && c == 's' ? 0 : 6;
}

static int nothing(void)
{
    return 0;
}

static int has_landlock(void)
{
    return landlock ? 0 : 1;
}

static void files_are_confined(void **state)
{
    (void)state;
    skip_if_compiled_out();
    assert_int_equal(run(&NOTHING, open_foreign), 0);
    assert_int_equal(run(&FILES, write_own), 0);
    if (run(&FILES, has_landlock) != 0) {
        print_message("this kernel has no Landlock: what it forbids is not tested\n");
        return;
    }
    assert_int_equal(run(&FILES, open_foreign), 0);
    assert_int_equal(run(&FILES, write_foreign), 0);
    const struct sandbox_path none = {"nowhere", false};
    assert_int_equal(run(&(struct sandbox_rules){.paths = &none, .path_count = 1}, nothing), NO_SANDBOX);
}

static int do_exec(void)
{
    execl("/bin/true", "true", (char *)NULL);
    return 1;
}

static int do_fork(void)
{
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    int status;
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 1;
}

static int do_bind_source(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return bind(fd, (const struct sockaddr *)&in, sizeof in) == 0 ? 0 : 1;
}

static int do_raw_socket(void)
{
    return socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP) >= 0 ? 0 : 1;
}

static int do_bind(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return bind(fd, (const struct sockaddr *)&in, sizeof in) == 0 && listen(fd, 1) == 0 ? 0 : 1;
}

static int do_packet_socket(void)
{
    return socket(AF_PACKET, SOCK_RAW, 0) < 0 ? 0 : 1;
}

static int do_netlink_socket(void)
{
    return socket(AF_NETLINK, SOCK_RAW, 0) < 0 && errno == EAFNOSUPPORT ? 0 : 1;
}

static int do_unlink(void)
{
    return unlink("open/none") < 0 ? 0 : 1;
}

static int do_kill(void)
{
    return kill(getppid(), 0) == 0 ? 0 : 1;
}

static int do_tty_ioctl(void)
{
    return ioctl(0, TIOCSTI, "x") < 0 ? 0 : 1;
}

static int do_dumpable(void)
{
    return prctl(PR_SET_DUMPABLE, 1) == 0 ? 0 : 1;
}

static int do_abort(void)
{
    abort();
}

static int map_code(void)
{
    if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) return 1;
    if (errno != EPERM) return 2;
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return 3;
    if (mprotect(p, 4096, PROT_READ) < 0) return 4;
    return mprotect(p, 4096, PROT_READ | PROT_EXEC) < 0 && errno == EPERM ? 0 : 5;
}

static int no_new_privs(void)
{
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 1;
}

static void calls_outside_the_list_kill(void **state)
{
    (void)state;
    skip_if_compiled_out();
    static const struct {
        const struct sandbox_rules *rules;
        int (*fn)(void);
        int result;
    } cases[] = {
        {&NOTHING, do_exec, KILLED},
        {&FORKS, do_exec, KILLED},
        {&NOTHING, do_fork, KILLED},
        {&THREADS, do_fork, KILLED},
        {&FORKS, do_fork, 0},
        {&NOTHING, do_bind, KILLED},
        {&BINDS, do_bind, 0},
        {&BINDS, do_packet_socket, KILLED},
        {&BINDS, do_raw_socket, KILLED},
        {&BINDS_SOURCE, do_bind_source, 0},
        {&BINDS_SOURCE, do_bind, KILLED},
        {&NOTHING, do_netlink_socket, 0},
        {&NOTHING, do_unlink, KILLED},
        {&FILES, do_unlink, 0},
        {&NOTHING, do_kill, KILLED},
        {&FORKS, do_kill, 0},
        {&NOTHING, do_tty_ioctl, KILLED},
        {&NOTHING, do_dumpable, KILLED},
        {&NOTHING, do_abort, -SIGABRT},
        {&NOTHING, map_code, 0},
        {&NOTHING, no_new_privs, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int result = run(cases[i].rules, cases[i].fn);
        if (result != cases[i].result) fail_msg("case %zu: %d, expected %d", i, result, cases[i].result);
    }
}

static void *thread_main(void *arg)
{
    char *text = malloc(100);
    free(text);
    *(int *)arg = open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES ? 1 : 2;
    return NULL;
}

static int start_thread(void)
{
    int result = 0;
    pthread_t thread;
    if (pthread_create(&thread, NULL, thread_main, &result) != 0) return 1;
    pthread_join(thread, NULL);
    return result == 1 ? 0 : 2;
}

static void threads_are_confined_too(void **state)
{
    (void)state;
    skip_if_compiled_out();
    assert_int_equal(run(&THREADS, start_thread), 0);
    assert_int_equal(run(&NOTHING, start_thread), KILLED);
}

static void write_file(const char *name)
{
    FILE *f = fopen(name, "w");
    fputs("s", f);
    fclose(f);
}

static int enter_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder) || chdir(folder) < 0 || mkdir("open", 0700) < 0 || mkdir("shut", 0700) < 0) return -1;
    write_file("foreign");
    write_file("open/a");
    write_file("shut/file");
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_can_work),
        cmocka_unit_test(files_are_confined),
        cmocka_unit_test(calls_outside_the_list_kill),
        cmocka_unit_test(threads_are_confined_too),
    };
    return cmocka_run_group_tests(tests, enter_folder, remove_folder);
}
