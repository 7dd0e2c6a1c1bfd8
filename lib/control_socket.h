/* control_socket - the administrator's socket in the file system: made, guarded, removed. */
#ifndef POSTERN_LIB_CONTROL_SOCKET_H
#define POSTERN_LIB_CONTROL_SOCKET_H

#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct control_socket {
    int fd;     /* -1: none */
    char *path; /* owned */
    dev_t dev;  /* of the file, so that we remove ours and no other */
    ino_t ino;
    pid_t owner; /* who made it: the copy in a forked child does not remove the file */
};

/* control_socket_open - listen at path, mode 0600.  A socket file that nobody listens on is replaced.  Returns 0, or -1
 * and a message in why. */
MUSTCHECK int control_socket_open(struct control_socket *s, const char *path, char *why, size_t cap);

/* control_socket_adopt - go on listening on fd (taken), which the program before this one made at path. */
void control_socket_adopt(struct control_socket *s, int fd, const char *path);

/* control_socket_allows - whether the process at the other end of fd may give commands: root, our own user, or, while
 * the file is writable to its group, a member of that group. */
bool control_socket_allows(const struct control_socket *s, int fd);

/* control_socket_close - stop listening and remove the file. */
void control_socket_close(struct control_socket *s);

#endif
