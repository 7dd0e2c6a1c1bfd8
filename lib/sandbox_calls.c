#include "lib/sandbox_calls.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* What every server with libevent, OpenSSL and glibc does.  A name that this architecture does not have is skipped. */
static const char *const ALWAYS[] = {
    /* descriptors */
    "read",
    "readv",
    "pread64",
    "preadv",
    "write",
    "writev",
    "close",
    "close_range",
    "lseek",
    "_llseek",
    "fcntl",
    "fcntl64",
    "dup",
    "dup2",
    "dup3",
    "pipe",
    "pipe2",
    "splice",
    "tee",
    "sendfile",
    "sendfile64",
    /* waiting */
    "poll",
    "ppoll",
    "ppoll_time64",
    "select",
    "_newselect",
    "pselect6",
    "pselect6_time64",
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "eventfd2",
    "timerfd_create",
    "timerfd_settime",
    "timerfd_settime64",
    "timerfd_gettime",
    "timerfd_gettime64",
    "signalfd4",
    /* sockets; socket itself is below */
    "accept",
    "accept4",
    "connect",
    "getpeername",
    "getsockname",
    "getsockopt",
    "setsockopt",
    "recv",
    "recvfrom",
    "recvmsg",
    "recvmmsg",
    "recvmmsg_time64",
    "send",
    "sendto",
    "sendmsg",
    "sendmmsg",
    "shutdown",
    /* memory; mmap and mprotect are below */
    "munmap",
    "mremap",
    "madvise",
    "brk",
    "mincore",
    "membarrier",
    "memfd_create",
    /* threads that are there; clone is below */
    "futex",
    "futex_time64",
    "futex_waitv",
    "set_robust_list",
    "get_robust_list",
    "rseq",
    "set_tid_address",
    "sched_yield",
    "sched_getaffinity",
    "getcpu",
    "gettid",
    "exit",
    "exit_group",
    /* time and chance */
    "clock_gettime",
    "clock_gettime64",
    "clock_getres",
    "clock_getres_time64",
    "clock_nanosleep",
    "clock_nanosleep_time64",
    "nanosleep",
    "gettimeofday",
    "time",
    "times",
    "getrandom",
    /* signals */
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sigreturn",
    "rt_sigpending",
    "rt_sigsuspend",
    "rt_sigtimedwait",
    "rt_sigtimedwait_time64",
    "sigaltstack",
    "restart_syscall",
    "pause",
    /* who and where we are */
    "getpid",
    "getppid",
    "getpgrp",
    "getpgid",
    "getsid",
    "getuid",
    "getuid32",
    "geteuid",
    "geteuid32",
    "getgid",
    "getgid32",
    "getegid",
    "getegid32",
    "getresuid",
    "getresuid32",
    "getresgid",
    "getresgid32",
    "getgroups",
    "getgroups32",
    "getrusage",
    "getrlimit",
    "ugetrlimit",
    "uname",
    "sysinfo",
    "umask",
    "getcwd",
    /* looking at files; opening is below */
    "stat",
    "stat64",
    "lstat",
    "lstat64",
    "fstat",
    "fstat64",
    "newfstatat",
    "fstatat64",
    "statx",
    "access",
    "faccessat",
    "faccessat2",
    "readlink",
    "readlinkat",
    "getdents",
    "getdents64",
    "statfs",
    "statfs64",
    "fstatfs",
    "fstatfs64",
    "fadvise64",
    "fadvise64_64",
};

static const char *const OPEN[] = {"open", "openat"};

/* What SQLite with a write-ahead log does, and those who keep files beside it. */
static const char *const WRITE_FILES[] = {
    "pwrite64",        "pwritev",
    "fsync",           "fdatasync",
    "sync_file_range", "ftruncate",
    "ftruncate64",     "fallocate",
    "rename",          "renameat",
    "renameat2",       "unlink",
    "unlinkat",        "link",
    "linkat",          "mkdir",
    "mkdirat",         "rmdir",
    "chmod",           "fchmod",
    "fchmodat",        "fchown",
    "fchown32",        "flock",
    "utimensat",       "utimensat_time64",
    "copy_file_range", "msync",
};

static const char *const FORK[] = {"fork", "vfork", "wait4", "waitid", "waitpid", "kill"};

static const char *const WATCH_FILES[] = {"inotify_init1", "inotify_add_watch", "inotify_rm_watch"};

static const char *const BIND[] = {"bind", "listen"};

/* The rest of the type's argument are flags: linux/net.h, SOCK_TYPE_MASK. */
enum { SOCKET_TYPE_MASK = 0xf };

struct call_filter {
    scmp_filter_ctx ctx;
    int rc; /* the first error, negative; further rules are left out then */
};

/* A rule for a call, by name, with conditions on its arguments, all of which must hold. */
static void add_if(struct call_filter *f, uint32_t action, const char *name, const struct scmp_arg_cmp *args,
                   size_t count)
{
    int nr = seccomp_syscall_resolve_name(name);
    if (nr == __NR_SCMP_ERROR || f->rc < 0) return;
    f->rc = seccomp_rule_add_array(f->ctx, action, nr, (unsigned)count, args);
}

/* The same, with an optional condition on one argument. */
static void add(struct call_filter *f, uint32_t action, const char *name, const struct scmp_arg_cmp *arg)
{
    add_if(f, action, name, arg, arg ? 1 : 0);
}

static void allow_all(struct call_filter *f, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add(f, SCMP_ACT_ALLOW, names[i], NULL);
}

static void allow_equal(struct call_filter *f, const char *name, unsigned arg, uint64_t value)
{
    struct scmp_arg_cmp cmp = SCMP_CMP64(arg, SCMP_CMP_EQ, value, 0);
    add(f, SCMP_ACT_ALLOW, name, &cmp);
}

static void add_masked(struct call_filter *f, uint32_t action, const char *name, unsigned arg, uint64_t mask,
                       uint64_t value)
{
    struct scmp_arg_cmp cmp = SCMP_CMP64(arg, SCMP_CMP_MASKED_EQ, mask, value);
    add(f, action, name, &cmp);
}

/* Memory is writable or executable when it is mapped, and stays so.  A library that would be loaded late gets an error
 * rather than killing us. */
static void add_memory(struct call_filter *f)
{
    static const char *const names[] = {"mmap", "mmap2", "mprotect"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        add_masked(f, SCMP_ACT_ALLOW, names[i], 2, PROT_EXEC, 0);
        add_masked(f, SCMP_ACT_ERRNO(EPERM), names[i], 2, PROT_EXEC, PROT_EXEC);
    }
}

static void add_sockets(struct call_filter *f)
{
    /* Not raw ones, even for who has kept the capability for them. */
    static const int families[] = {AF_INET, AF_INET6}, types[] = {SOCK_STREAM, SOCK_DGRAM};
    for (size_t i = 0; i < ARRAY_LEN(families) * ARRAY_LEN(types); i++) {
        const struct scmp_arg_cmp cmps[] = {
            SCMP_CMP64(0, SCMP_CMP_EQ, (uint64_t)families[i % 2], 0),
            SCMP_CMP64(1, SCMP_CMP_MASKED_EQ, SOCKET_TYPE_MASK, (uint64_t)types[i / 2]),
        };
        add_if(f, SCMP_ACT_ALLOW, "socket", cmps, ARRAY_LEN(cmps));
    }
    allow_equal(f, "socket", 0, AF_UNIX);
    allow_equal(f, "socketpair", 0, AF_UNIX);
    /* glibc asks for it to learn which addresses the machine has, and lives without. */
    struct scmp_arg_cmp netlink = SCMP_CMP64(0, SCMP_CMP_EQ, AF_NETLINK, 0);
    add(f, SCMP_ACT_ERRNO(EAFNOSUPPORT), "socket", &netlink);
}

static void add_controls(struct call_filter *f)
{
    static const unsigned long ioctls[] = {FIONREAD, FIONBIO, FIOCLEX, SIOCOUTQ, TCGETS};
    static const int prctls[] = {PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS};
    for (size_t i = 0; i < ARRAY_LEN(ioctls); i++) {
        /* The kernel looks at 32 bits of it. */
        add_masked(f, SCMP_ACT_ALLOW, "ioctl", 1, UINT32_MAX, ioctls[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(prctls); i++)
        allow_equal(f, "prctl", 0, (uint64_t)prctls[i]);
#ifdef PR_SET_VMA
    add(f, SCMP_ACT_ERRNO(EINVAL), "prctl", &SCMP_CMP64(0, SCMP_CMP_EQ, PR_SET_VMA, 0)); /* malloc names its memory */
#endif
    allow_equal(f, "prlimit64", 0, 0);
}

/* clone3 keeps its flags in memory, where a filter cannot look; told that there is none, glibc uses clone. */
static void add_clone(struct call_filter *f, const struct sandbox_rules *rules)
{
    static const uint64_t spaces =
        CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
    static const uint64_t thread = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
    if (rules->may_fork) {
        add_masked(f, SCMP_ACT_ALLOW, "clone", 0, spaces, 0);
        allow_all(f, FORK, ARRAY_LEN(FORK));
        add(f, SCMP_ACT_ALLOW, "tgkill", NULL);
    } else {
        if (rules->may_start_threads) add_masked(f, SCMP_ACT_ALLOW, "clone", 0, spaces | thread, thread);
        /* abort and raise */
        allow_equal(f, "tgkill", 0, (uint64_t)getpid());
    }
    if (rules->may_fork || rules->may_start_threads) add(f, SCMP_ACT_ERRNO(ENOSYS), "clone3", NULL);
}

/* Without Landlock this is all that keeps a process from files that it has no business with. */
static void add_open(struct call_filter *f, const struct sandbox_rules *rules)
{
    bool none = rules->path_count == 0;
    for (size_t i = 0; i < ARRAY_LEN(OPEN); i++)
        add(f, none ? SCMP_ACT_ERRNO(EACCES) : SCMP_ACT_ALLOW, OPEN[i], NULL);
}

int sandbox_calls(const struct sandbox_rules *rules, char *why, size_t cap)
{
    struct call_filter f = {.ctx = seccomp_init(SCMP_ACT_KILL_PROCESS)};
    if (f.ctx == NULL) {
        snprintf(why, cap, "sandbox: cannot make a seccomp filter");
        return -1;
    }
    f.rc = seccomp_attr_set(f.ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    allow_all(&f, ALWAYS, ARRAY_LEN(ALWAYS));
    add_open(&f, rules);
    add_memory(&f);
    add_sockets(&f);
    add_controls(&f);
    add_clone(&f, rules);
    if (rules->may_write_files) allow_all(&f, WRITE_FILES, ARRAY_LEN(WRITE_FILES));
    if (rules->may_watch_files) allow_all(&f, WATCH_FILES, ARRAY_LEN(WATCH_FILES));
    if (rules->may_bind) allow_all(&f, BIND, ARRAY_LEN(BIND));
    if (rules->may_bind_source || rules->may_bind_datagrams) add(&f, SCMP_ACT_ALLOW, "bind", NULL);
    /* A tree instead of a list: the filter runs at every system call.  An old library has only the list. */
    if (f.rc == 0) (void)seccomp_attr_set(f.ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (f.rc == 0) f.rc = seccomp_load(f.ctx);
    seccomp_release(f.ctx);
    if (f.rc == 0) return 0;
    snprintf(why, cap, "sandbox: cannot load the seccomp filter: %s", strerror(-f.rc));
    return -1;
}
