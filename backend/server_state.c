#include "backend/server_state.h"

#include "backend/backend_config.h"
#include "lib/mem.h"
#include "lib/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_folder(const char *path, mode_t mode, const struct passwd *owner, char *why, size_t cap)
{
    if (mkdir(path, mode) != 0) {
        if (errno == EEXIST) return 0;
        snprintf(why, cap, "cannot make the folder %s: %s", path, strerror(errno));
        return -1;
    }
    /* the mode again, for mkdir's was cut by the umask */
    if (chmod(path, mode) == 0 && (!owner || chown(path, owner->pw_uid, owner->pw_gid) == 0)) return 0;
    snprintf(why, cap, "cannot give the folder %s its owner: %s", path, strerror(errno));
    return -1;
}

int server_state_make_folders(const struct backend_config *config, bool run_dir, char *why, size_t cap)
{
    const struct passwd *owner = config->user && geteuid() == 0 ? getpwnam(config->user) : NULL;
    if (make_folder(config->state_dir, 0700, owner, why, cap) != 0) return -1;
    return run_dir ? make_folder(config->run_dir, 0755, owner, why, cap) : 0;
}

static int read_secret(const char *path, uint8_t *secret, char *why, size_t cap)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        if (errno == ENOENT) return 1;
        snprintf(why, cap, "cannot open %s: %s", path, strerror(errno));
        return -1;
    }
    uint8_t more;
    const bool whole = read(fd, secret, BACKEND_SECRET_BYTES) == BACKEND_SECRET_BYTES && read(fd, &more, 1) == 0;
    close(fd);
    if (!whole) {
        snprintf(why, cap, "%s: expected %d bytes; remove it, and a new one is made", path, BACKEND_SECRET_BYTES);
        return -1;
    }
    return proc_check_private(path, 0, why, cap);
}

/* Written beside and renamed, so that a crash leaves no half a secret. */
static int make_secret(const char *path, uint8_t *secret, char *why, size_t cap)
{
    char *fresh = mem_asprintf("%s.new", path);
    const int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    CHECK(RAND_bytes(secret, BACKEND_SECRET_BYTES) == 1);
    const bool written = fd >= 0 && write(fd, secret, BACKEND_SECRET_BYTES) == BACKEND_SECRET_BYTES && fsync(fd) == 0 &&
                         rename(fresh, path) == 0;
    if (!written) snprintf(why, cap, "cannot write %s: %s", path, strerror(errno));
    if (fd >= 0) close(fd);
    free(fresh);
    return written ? 0 : -1;
}

int server_state_take(struct backend *backend, char *why, size_t cap)
{
    const char *folder = backend->config->state_dir;
    if (proc_check_private(folder, 0, why, cap) != 0) return -1;
    char *path = mem_asprintf("%s/lock", folder);
    const int lock = proc_lock(path, why, cap); /* held until the process ends */
    free(path);
    if (lock < 0) return -1;
    path = mem_asprintf("%s/secret", folder);
    int result = read_secret(path, backend->secret, why, cap);
    if (result == 1) result = make_secret(path, backend->secret, why, cap);
    free(path);
    return result;
}
