#include "lib/control_socket.h"

#include "lib/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { CONTROL_BACKLOG = 128 };

static const socklen_t ADDRESS_BYTES = sizeof(struct sockaddr_un);

/* Make room for a new socket file: only a dead socket may be removed. */
static int remove_stale(const struct sockaddr_un *un, char *why, size_t cap)
{
    struct stat st;
    if (lstat(un->sun_path, &st) < 0) {
        if (errno == ENOENT) return 0;
        snprintf(why, cap, "%s: %s", un->sun_path, strerror(errno));
        return -1;
    }
    if (!S_ISSOCK(st.st_mode)) {
        snprintf(why, cap, "%s: this is no socket; it is left alone", un->sun_path);
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        snprintf(why, cap, "socket: %s", strerror(errno));
        return -1;
    }
    int rc = connect(fd, (const struct sockaddr *)(const void *)un, ADDRESS_BYTES);
    bool refused = rc < 0 && errno == ECONNREFUSED;
    close(fd);
    if (!refused) {
        snprintf(why, cap, "%s: another process is listening there", un->sun_path);
        return -1;
    }
    if (unlink(un->sun_path) < 0 && errno != ENOENT) {
        snprintf(why, cap, "%s: cannot remove the old socket: %s", un->sun_path, strerror(errno));
        return -1;
    }
    return 0;
}

/* The mask closes the moment between bind and a chmod. */
static int bind_private(int fd, const struct sockaddr_un *un)
{
    mode_t old = umask(0177);
    int rc = bind(fd, (const struct sockaddr *)(const void *)un, ADDRESS_BYTES);
    int saved = errno;
    umask(old);
    errno = saved;
    return rc;
}

int control_socket_open(struct control_socket *s, const char *path, char *why, size_t cap)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct stat st;
    if (strlen(path) >= sizeof un.sun_path) {
        snprintf(why, cap, "%s: a socket's path may have %zu bytes", path, sizeof un.sun_path - 1);
        return -1;
    }
    memcpy(un.sun_path, path, strlen(path) + 1);
    if (remove_stale(&un, why, cap) < 0) return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind_private(fd, &un) < 0 || listen(fd, CONTROL_BACKLOG) < 0 || lstat(path, &st) < 0) {
        snprintf(why, cap, "%s: cannot listen there: %s", path, strerror(errno));
        if (fd >= 0) close(fd);
        return -1;
    }
    *s = (struct control_socket){
        .fd = fd, .path = mem_strdup(path), .dev = st.st_dev, .ino = st.st_ino, .owner = getpid()};
    return 0;
}

void control_socket_adopt(struct control_socket *s, int fd, const char *path)
{
    struct stat st = {0};
    (void)lstat(path, &st); /* a file that is not there any more is not ours to remove */
    *s = (struct control_socket){
        .fd = fd, .path = mem_strdup(path), .dev = st.st_dev, .ino = st.st_ino, .owner = getpid()};
}

static bool in_group(int fd, gid_t primary, gid_t wanted)
{
    gid_t groups[256];
    socklen_t len = sizeof groups;
    if (primary == wanted) return true;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0) return false;
    for (size_t i = 0; i < len / sizeof *groups; i++)
        if (groups[i] == wanted) return true;
    return false;
}

bool control_socket_allows(const struct control_socket *s, int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    struct stat st;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0) return false;
    if (peer.uid == 0 || peer.uid == geteuid()) return true;
    if (lstat(s->path, &st) < 0 || st.st_ino != s->ino || !(st.st_mode & S_IWGRP)) return false;
    return in_group(fd, peer.gid, st.st_gid);
}

void control_socket_close(struct control_socket *s)
{
    struct stat st;
    if (s->fd < 0) return;
    close(s->fd);
    s->fd = -1;
    if (s->owner == getpid() && lstat(s->path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino) unlink(s->path);
    free(s->path);
    s->path = NULL;
}
