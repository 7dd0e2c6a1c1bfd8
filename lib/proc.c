#include "lib/proc.h"

#include "lib/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { NOTIFY_MAX_S = 1 };

static int fail(char *why, size_t cap, const char *what, const char *name)
{
    snprintf(why, cap, "%s %s: %s", what, name, strerror(errno));
    return -1;
}

static int find_user(const char *user, const char *group, uid_t *uid, gid_t *gid, char *why, size_t cap)
{
    errno = 0;
    const struct passwd *pw = getpwnam(user);
    if (pw == NULL) {
        snprintf(why, cap, "there is no user \"%s\"", user);
        return -1;
    }
    *uid = pw->pw_uid;
    *gid = pw->pw_gid;
    if (group == NULL) return 0;
    const struct group *gr = getgrnam(group);
    if (gr == NULL) {
        snprintf(why, cap, "there is no group \"%s\"", group);
        return -1;
    }
    *gid = gr->gr_gid;
    return 0;
}

struct capability_sets {
    struct __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3];
};

/* The sets with one capability, or none at -1. */
static struct capability_sets only(int capability)
{
    struct capability_sets sets = {0};
    if (capability < 0) return sets;
    struct __user_cap_data_struct *word = &sets.words[capability / 32];
    word->permitted = word->effective = UINT32_C(1) << (capability % 32);
    return sets;
}

/* Capabilities outlive a change of user where the process was told to keep them, or has ambient ones. */
static int drop_capabilities(int keep, char *why, size_t cap)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct capability_sets sets = only(keep);
    /* Fails where the kernel has none, or CAP_SETPCAP is not ours; what counts is that the sets below are empty. */
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capset, &head, sets.words) == 0) return 0;
    if (keep < 0 || errno != EPERM) return fail(why, cap, "cannot drop", "capabilities");
    snprintf(why, cap, "the configuration needs capability %d, see capabilities(7), and this process does not have it",
             keep);
    return -1;
}

/* Needs CAP_SETPCAP, so it comes before the change of user. */
static void drop_bounding_set(void)
{
    for (unsigned long c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++)
        (void)prctl(PR_CAPBSET_DROP, c, 0, 0, 0);
}

static bool has_only(int capability)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct capability_sets wanted = only(capability), sets = {0};
    if (syscall(SYS_capget, &head, sets.words) < 0) return false;
    return memcmp(&wanted, &sets, sizeof(sets)) == 0;
}

/* Believe nothing: ask for everything back. */
static int verify_dropped(uid_t uid, gid_t gid, int keep, char *why, size_t cap)
{
    uid_t r, e, s;
    gid_t rg, eg, sg;
    bool same = getresuid(&r, &e, &s) == 0 && getresgid(&rg, &eg, &sg) == 0 && r == uid && e == uid && s == uid &&
                rg == gid && eg == gid && sg == gid;
    bool regained = uid != 0 && (setuid(0) == 0 || seteuid(0) == 0 || setreuid(0, 0) == 0);
    if (same && !regained && has_only(keep)) return 0;
    snprintf(why, cap, "privileges are still there after they were dropped");
    return -1;
}

int proc_drop_privileges_but(const char *user, const char *group, int keep, char *why, size_t cap)
{
    uid_t uid;
    gid_t gid;
    /* Whoever is not root may still have been started with capabilities, to bind a low port. */
    if (user == NULL) return geteuid() == 0 ? 0 : drop_capabilities(keep, why, cap);
    if (find_user(user, group, &uid, &gid, why, cap) < 0) return -1;
    if (geteuid() != 0) {
        if (uid == geteuid() && uid == getuid()) return drop_capabilities(keep, why, cap);
        snprintf(why, cap, "only root can become user \"%s\"", user);
        return -1;
    }
    if (uid == 0) {
        snprintf(why, cap, "user \"%s\" is root, which keeps every right", user);
        return -1;
    }
    drop_bounding_set();
    (void)prctl(PR_SET_KEEPCAPS, keep >= 0, 0, 0, 0);
    if (initgroups(user, gid) < 0) return fail(why, cap, "cannot take on the groups of", user);
    if (setresgid(gid, gid, gid) < 0) return fail(why, cap, "cannot take on the group of", user);
    if (setresuid(uid, uid, uid) < 0) return fail(why, cap, "cannot become", user);
    if (drop_capabilities(keep, why, cap) < 0) return -1;
    (void)prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
    return verify_dropped(uid, gid, keep, why, cap);
}

int proc_drop_privileges(const char *user, const char *group, char *why, size_t cap)
{
    return proc_drop_privileges_but(user, group, -1, why, cap);
}

size_t proc_raise_nofile(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return 1024;
    rlim_t soft = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0) soft = limit.rlim_max;
    return (size_t)soft;
}

/* The lock belongs to the open file, not to the process, so a close elsewhere does not lose it; and it is never
 * unlinked, so nobody can hold a lock on a file that is no longer there. */
int proc_lock(const char *path, char *why, size_t cap)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return fail(why, cap, "cannot open the lock file", path);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
        char holder[32] = "";
        int error = errno;
        ssize_t n = pread(fd, holder, sizeof holder - 1, 0);
        close(fd);
        errno = error;
        if (error != EAGAIN && error != EACCES) return fail(why, cap, "cannot lock", path);
        holder[n > 0 ? strspn(holder, "0123456789") : 0] = '\0';
        snprintf(why, cap, "%s: another process holds this lock, pid %s; stop that server first", path,
                 *holder ? holder : "unknown");
        return -1;
    }
    char text[32];
    int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)len, 0) == len) return fd;
    fail(why, cap, "cannot write", path);
    close(fd);
    return -1;
}

static int refuse_owner(const char *path, char *why, size_t cap)
{
    const struct passwd *pw = getpwuid(geteuid());
    if (pw)
        snprintf(why, cap, "%s belongs to somebody else; mend it by: chown %s '%s'", path, pw->pw_name, path);
    else
        snprintf(why, cap, "%s belongs to somebody else; mend it by: chown %lu '%s'", path, (unsigned long)geteuid(),
                 path);
    return -1;
}

static int refuse_mode(const char *path, mode_t mode, const char *change, char *why, size_t cap)
{
    snprintf(why, cap, "%s is open to others (mode %04o); mend it by: chmod %s '%s'", path, (unsigned)(mode & 07777),
             change, path);
    return -1;
}

int proc_check_private(const char *path, int group_may_read, char *why, size_t cap)
{
    struct stat st;
    mode_t bad = group_may_read ? 0027 : 0077;
    if (stat(path, &st) < 0) return fail(why, cap, "cannot look at", path);
    if (st.st_uid != geteuid() && st.st_uid != 0) return refuse_owner(path, why, cap);
    if ((st.st_mode & bad) == 0) return 0;
    return refuse_mode(path, st.st_mode, group_may_read ? "g-w,o=" : "go=", why, cap);
}

int proc_check_own(const char *path, char *why, size_t cap)
{
    struct stat st;
    if (lstat(path, &st) < 0) return errno == ENOENT ? 0 : fail(why, cap, "cannot look at", path);
    if (!S_ISREG(st.st_mode)) {
        snprintf(why, cap, "%s is not a regular file: it is not one of ours", path);
        return -1;
    }
    if (st.st_uid != geteuid()) return refuse_owner(path, why, cap);
    return st.st_mode & 0077 ? refuse_mode(path, st.st_mode, "go=", why, cap) : 0;
}

void proc_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t len = path ? strlen(path) : 0;
    if (len < 2 || len >= sizeof un.sun_path || (*path != '/' && *path != '@')) return;
    memcpy(un.sun_path, path, len);
    if (*path == '@') un.sun_path[0] = '\0'; /* an abstract name */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    /* A manager that does not read may cost us a moment, and no more. */
    const struct timeval patience = {.tv_sec = NOTIFY_MAX_S};
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    /* The length counts: an abstract name has no end of its own. */
    socklen_t un_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    (void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)(const void *)&un, un_len);
    close(fd);
}

void proc_notify_reloading(void)
{
    char text[64];
    struct timespec now; /* not a loop's: it may not lie before the request */
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
             (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    proc_notify(text);
}

int64_t proc_watchdog_us(void)
{
    const char *limit = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (!limit || !getenv("NOTIFY_SOCKET")) return 0;
    if (pid && strtoll(pid, NULL, 10) != getpid()) return 0; /* meant for who started us */
    const long long us = strtoll(limit, NULL, 10);
    return us > 0 ? us : 0;
}

int proc_write_pid(const char *path, char *why, size_t cap)
{
    char text[32];
    const int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) return fail(why, cap, "cannot write", path);
    const bool written = write(fd, text, (size_t)len) == len && fchmod(fd, 0644) == 0;
    if (!written) fail(why, cap, "cannot write", path);
    close(fd);
    return written ? 0 : -1;
}

void proc_remove_pid(const char *path)
{
    char text[32] = "";
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return;
    const ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    if (len > 0 && strtol(text, NULL, 10) == (long)getpid()) unlink(path);
}
