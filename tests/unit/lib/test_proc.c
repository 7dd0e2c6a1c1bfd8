#include "lib/proc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <grp.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char folder[] = "/tmp/test_proc.XXXXXX";
static char why[512];

static int run_child(int (*fn)(void))
{
    pid_t pid = fork();
    if (pid == 0) _exit(fn());
    int status = -1;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static unsigned long long status_field(const char *name)
{
    char line[256];
    unsigned long long value = ~0ULL;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, name, strlen(name)) == 0) value = strtoull(line + strlen(name), NULL, 16);
    if (f) fclose(f);
    return value;
}

static int become_nobody(void)
{
    gid_t groups[8];
    const struct passwd *pw = getpwnam("nobody");
    if (pw == NULL || proc_drop_privileges("nobody", NULL, why, sizeof why) < 0) return 1;
    if (getuid() != pw->pw_uid || geteuid() != pw->pw_uid || getgid() != pw->pw_gid || getegid() != pw->pw_gid)
        return 2;
    int n = getgroups(8, groups);
    for (int i = 0; i < n; i++)
        if (groups[i] == 0) return 3;
    if (setuid(0) == 0 || setgid(0) == 0) return 4;
    if (status_field("CapPrm:") || status_field("CapEff:") || status_field("CapInh:")) return 5;
    if (status_field("CapBnd:") || status_field("CapAmb:")) return 6;
    /* Again is fine: we are that user. */
    if (proc_drop_privileges("nobody", NULL, why, sizeof why) < 0) return 7;
    return proc_drop_privileges("root", NULL, why, sizeof why) < 0 ? 0 : 8;
}

static int become_nobody_of_daemon(void)
{
    const struct group *gr = getgrnam("daemon");
    if (gr == NULL || proc_drop_privileges("nobody", "daemon", why, sizeof why) < 0) return 1;
    return getgid() == gr->gr_gid && getegid() == gr->gr_gid ? 0 : 2;
}

/* As a service manager starts a server that is not root and binds a low port. */
static int nobody_with_capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {0};
    const struct passwd *pw = getpwnam("nobody");
    if (pw == NULL || prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0) return 1;
    if (setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0) return 2;
    caps[0].effective = caps[0].permitted = caps[0].inheritable = 1U << CAP_NET_BIND_SERVICE;
    if (syscall(SYS_capset, &head, caps) < 0) return 3;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0) < 0) return 4;
    if (status_field("CapEff:") == 0) return 5;
    if (proc_drop_privileges(NULL, NULL, why, sizeof why) < 0) return 6;
    return status_field("CapPrm:") || status_field("CapEff:") || status_field("CapAmb:") ? 7 : 0;
}

static int become_nobody_who_may_send_as_others(void)
{
    const unsigned long long kept = 1ULL << CAP_NET_RAW;
    if (proc_drop_privileges_but("nobody", NULL, CAP_NET_RAW, why, sizeof why) < 0) return 1;
    if (setuid(0) == 0 || seteuid(0) == 0) return 2;
    if (status_field("CapPrm:") != kept || status_field("CapEff:") != kept) return 3;
    if (status_field("CapInh:") || status_field("CapAmb:") || status_field("CapBnd:")) return 4;
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (setsockopt(fd, SOL_IP, IP_TRANSPARENT, &on, sizeof on) < 0) return 5;
    /* What is not there any more cannot be kept. */
    if (proc_drop_privileges_but(NULL, NULL, CAP_NET_ADMIN, why, sizeof why) == 0) return 6;
    if (strstr(why, "capability 12") == NULL) return 7;
    if (proc_drop_privileges_but(NULL, NULL, -1, why, sizeof why) < 0) return 8;
    return status_field("CapPrm:") ? 9 : 0;
}

static void privileges_are_dropped_for_ever(void **state)
{
    (void)state;
    if (geteuid() != 0) skip();
    assert_int_equal(run_child(become_nobody), 0);
    assert_int_equal(run_child(become_nobody_of_daemon), 0);
    assert_int_equal(run_child(nobody_with_capabilities), 0);
    assert_int_equal(run_child(become_nobody_who_may_send_as_others), 0);
}

static void users_that_cannot_be_taken_on(void **state)
{
    (void)state;
    assert_int_equal(proc_drop_privileges(NULL, NULL, why, sizeof why), 0);
    assert_int_equal(proc_drop_privileges("no-such-user", NULL, why, sizeof why), -1);
    assert_string_equal(why, "there is no user \"no-such-user\"");
    assert_int_equal(proc_drop_privileges("nobody", "no-such-group", why, sizeof why), -1);
    assert_string_equal(why, "there is no group \"no-such-group\"");
    if (geteuid() != 0) return;
    assert_int_equal(proc_drop_privileges("root", NULL, why, sizeof why), -1);
    assert_string_equal(why, "user \"root\" is root, which keeps every right");
}

static int raise_nofile(void)
{
    struct rlimit limit = {.rlim_cur = 100, .rlim_max = 300};
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) return 1;
    if (proc_raise_nofile() != 300) return 2;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == 300 ? 0 : 3;
}

static void the_descriptor_limit_is_raised(void **state)
{
    (void)state;
    assert_int_equal(run_child(raise_nofile), 0);
}

static int lock_it(void)
{
    return proc_lock("lock", why, sizeof why) < 0;
}

static void a_lock_has_one_holder(void **state)
{
    (void)state;
    char text[64], expected[128];
    struct stat st;
    int fd = proc_lock("lock", why, sizeof why);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    FILE *f = fopen("lock", "r");
    assert_non_null(fgets(text, sizeof text, f));
    fclose(f);
    assert_int_equal(strtol(text, NULL, 10), getpid());
    /* Neither this process nor another one gets it again. */
    assert_int_equal(proc_lock("lock", why, sizeof why), -1);
    snprintf(expected, sizeof expected, "lock: another process holds this lock, pid %ld; stop that server first",
             (long)getpid());
    assert_string_equal(why, expected);
    assert_int_equal(run_child(lock_it), 1);
    close(fd);
    assert_int_equal(run_child(lock_it), 0);
    fd = proc_lock("lock", why, sizeof why);
    assert_true(fd >= 0);
    close(fd);
}

static void a_killed_holder_holds_nothing(void **state)
{
    (void)state;
    int ready[2];
    char c;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = proc_lock("lock", why, sizeof why);
        (void)!write(ready[1], fd < 0 ? "n" : "y", 1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
    assert_int_equal(c, 'y');
    assert_int_equal(run_child(lock_it), 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_int_equal(run_child(lock_it), 0);
    close(ready[0]);
    close(ready[1]);
}

static void locks_that_cannot_be_made(void **state)
{
    (void)state;
    assert_int_equal(proc_lock("none/lock", why, sizeof why), -1);
    assert_string_equal(why, "cannot open the lock file none/lock: No such file or directory");
    assert_int_equal(symlink("elsewhere", "link"), 0);
    assert_int_equal(proc_lock("link", why, sizeof why), -1);
    assert_int_equal(access("elsewhere", F_OK), -1);
}

static void private_files(void **state)
{
    (void)state;
    static const struct {
        mode_t mode;
        int group_may_read, rc;
        const char *why;
    } cases[] = {
        {0600, 0, 0, ""},
        {0700, 0, 0, ""},
        {0640, 1, 0, ""},
        {0750, 1, 0, ""},
        {0640, 0, -1, "file is open to others (mode 0640); mend it by: chmod go= 'file'"},
        {0604, 0, -1, "file is open to others (mode 0604); mend it by: chmod go= 'file'"},
        {0660, 1, -1, "file is open to others (mode 0660); mend it by: chmod g-w,o= 'file'"},
        {0641, 1, -1, "file is open to others (mode 0641); mend it by: chmod g-w,o= 'file'"},
    };
    FILE *f = fopen("file", "w");
    fclose(f);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        strcpy(why, "");
        assert_int_equal(chmod("file", cases[i].mode), 0);
        assert_int_equal(proc_check_private("file", cases[i].group_may_read, why, sizeof why), cases[i].rc);
        assert_string_equal(why, cases[i].why);
    }
    assert_int_equal(proc_check_private("nowhere", 0, why, sizeof why), -1);
    assert_string_equal(why, "cannot look at nowhere: No such file or directory");
    if (geteuid() != 0) return;
    assert_int_equal(chmod("file", 0600), 0);
    assert_int_equal(chown("file", 65534, 0), 0);
    assert_int_equal(proc_check_private("file", 0, why, sizeof why), -1);
    assert_string_equal(why, "file belongs to somebody else; mend it by: chown root 'file'");
}

static int notify_socket(const char *name, size_t len)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    memcpy(un.sun_path, name, len);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    socklen_t un_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    assert_int_equal(bind(fd, (const struct sockaddr *)&un, un_len), 0);
    return fd;
}

static void assert_notified(int fd, const char *expected)
{
    char text[64] = "";
    ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    assert_int_equal(n, strlen(expected));
    assert_string_equal(text, expected);
    close(fd);
}

static void the_service_manager_is_told(void **state)
{
    (void)state;
    char path[108], abstract[64];
    snprintf(path, sizeof path, "%s/notify", folder);
    int fd = notify_socket(path, strlen(path));
    setenv("NOTIFY_SOCKET", path, 1);
    proc_notify("READY=1\nSTATUS=serving");
    assert_notified(fd, "READY=1\nSTATUS=serving");

    int len = snprintf(abstract, sizeof abstract, "@postern-test-%ld", (long)getpid());
    setenv("NOTIFY_SOCKET", abstract, 1);
    abstract[0] = '\0';
    fd = notify_socket(abstract, (size_t)len);
    proc_notify("STOPPING=1");
    assert_notified(fd, "STOPPING=1");
}

/* Its queue fills up; whoever would wait for it for ever would serve nobody. */
static void a_service_manager_that_does_not_read(void **state)
{
    (void)state;
    enum { MORE_THAN_A_QUEUE = 1000 };
    char path[108];
    struct timespec start, end;
    snprintf(path, sizeof path, "%s/deaf", folder);
    int fd = notify_socket(path, strlen(path));
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    memcpy(un.sun_path, path, strlen(path) + 1);
    int filler = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    int sent = 0;
    while (sent < MORE_THAN_A_QUEUE && sendto(filler, "x", 1, 0, (struct sockaddr *)&un, sizeof un) == 1)
        sent++;
    assert_true(sent < MORE_THAN_A_QUEUE);
    setenv("NOTIFY_SOCKET", path, 1);
    clock_gettime(CLOCK_MONOTONIC, &start);
    proc_notify("READY=1");
    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true(end.tv_sec - start.tv_sec < 30);
    close(filler);
    close(fd);
}

static void without_a_service_manager_nothing_happens(void **state)
{
    (void)state;
    char longer[200];
    memset(longer, '/', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    const char *const values[] = {"", "@", "relative", "/nowhere/at/all", longer};
    unsetenv("NOTIFY_SOCKET");
    proc_notify("READY=1");
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        setenv("NOTIFY_SOCKET", values[i], 1);
        proc_notify("READY=1");
    }
    /* No descriptor is left behind. */
    int fd = dup(0);
    assert_true(fd >= 0);
    close(fd);
    proc_notify("READY=1");
    int again = dup(0);
    assert_int_equal(again, fd);
    close(again);
}

static int enter_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
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
        cmocka_unit_test(privileges_are_dropped_for_ever),
        cmocka_unit_test(users_that_cannot_be_taken_on),
        cmocka_unit_test(the_descriptor_limit_is_raised),
        cmocka_unit_test(a_lock_has_one_holder),
        cmocka_unit_test(a_killed_holder_holds_nothing),
        cmocka_unit_test(locks_that_cannot_be_made),
        cmocka_unit_test(private_files),
        cmocka_unit_test(the_service_manager_is_told),
        cmocka_unit_test(a_service_manager_that_does_not_read),
        cmocka_unit_test(without_a_service_manager_nothing_happens),
    };
    return cmocka_run_group_tests(tests, enter_folder, remove_folder);
}
