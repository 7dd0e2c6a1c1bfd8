#include "lib/sandbox_files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What came after the kernel headers of Debian 12, by the version of Landlock's interface. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13) /* 2 */
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14) /* 3 */
#endif
#ifndef LANDLOCK_ACCESS_NET_BIND_TCP
#define LANDLOCK_ACCESS_NET_BIND_TCP (1ULL << 0) /* 4 */
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15) /* 5 */
#endif

/* struct landlock_ruleset_attr of version 4: the headers may know the first member only. */
struct ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
};

static const uint64_t FILE_READ = LANDLOCK_ACCESS_FS_READ_FILE;
static const uint64_t FILE_WRITE = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE;
static const uint64_t FOLDER_READ = LANDLOCK_ACCESS_FS_READ_DIR;
static const uint64_t FOLDER_WRITE = LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                                     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |
                                     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REFER;

/* Every right to the file system that the version knows. */
static uint64_t rights_of(long version)
{
    uint64_t rights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
    if (version >= 2) rights |= LANDLOCK_ACCESS_FS_REFER;
    if (version >= 3) rights |= LANDLOCK_ACCESS_FS_TRUNCATE;
    if (version >= 5) rights |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
    return rights;
}

static int add_path(int ruleset, const struct sandbox_path *p, uint64_t known, char *why, size_t cap)
{
    struct stat st;
    int fd = open(p->path, O_PATH | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        snprintf(why, cap, "sandbox: %s: %s", p->path, strerror(errno));
        if (fd >= 0) close(fd);
        return -1;
    }
    /* Rights to a folder's entries are refused for anything else. */
    bool folder = S_ISDIR(st.st_mode);
    uint64_t rights = FILE_READ | (folder ? FOLDER_READ : 0);
    if (p->writable) rights |= FILE_WRITE | (folder ? FOLDER_WRITE : 0);
    struct landlock_path_beneath_attr attr = {.allowed_access = rights & known, .parent_fd = fd};
    long rc = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &attr, 0);
    if (rc < 0) snprintf(why, cap, "sandbox: cannot allow %s: %s", p->path, strerror(errno));
    close(fd);
    return rc < 0 ? -1 : 0;
}

int sandbox_files(const struct sandbox_rules *rules, bool *active, char *why, size_t cap)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    *active = version > 0;
    if (!*active) return 0;
    struct ruleset_attr attr = {.handled_access_fs = rights_of(version)};
    if (!rules->may_bind && !rules->may_bind_source) attr.handled_access_net = LANDLOCK_ACCESS_NET_BIND_TCP;
    size_t size = version >= 4 ? sizeof attr : sizeof attr.handled_access_fs;
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (ruleset < 0) {
        snprintf(why, cap, "sandbox: cannot make Landlock's rules: %s", strerror(errno));
        return -1;
    }
    int rc = 0;
    for (size_t i = 0; i < rules->path_count && rc == 0; i++)
        rc = add_path(ruleset, &rules->paths[i], attr.handled_access_fs, why, cap);
    if (rc == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0) {
        snprintf(why, cap, "sandbox: cannot apply Landlock's rules: %s", strerror(errno));
        rc = -1;
    }
    close(ruleset);
    return rc;
}
