#include "lib/fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for exactly one descriptor: CMSG_SPACE is rounded up, and the kernel would fill the padding with a second. */
union fdpass_control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
};

int fdpass_send(int sock, int fd, const void *data, size_t len)
{
    union fdpass_control control = {0};
    struct iovec iov = {.iov_len = len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;
    CHECK(len > 0);                             /* an empty message reads as the end of file */
    memcpy(&iov.iov_base, &data, sizeof(data)); /* iov_base is not const, though sendmsg only reads */
    if (fd >= 0) {
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_LEN(sizeof(int));
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
    }
    do
        n = sendmsg(sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -1 : 0;
}

/* The descriptor in a control message, or -1. */
static int fdpass_take(struct msghdr *msg)
{
    int fd = -1;
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS) continue;
        if (cmsg->cmsg_len >= CMSG_LEN(sizeof(int))) memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
    }
    return fd;
}

enum fdpass_status fdpass_recv(int sock, void *data, size_t cap, size_t *len, int *fd)
{
    union fdpass_control control = {0};
    struct iovec iov = {.iov_base = data, .iov_len = cap};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;
    *len = 0;
    *fd = -1;
    do {
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_LEN(sizeof(int));
        n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0) return errno == EAGAIN ? FDPASS_AGAIN : FDPASS_ERROR;
    *fd = fdpass_take(&msg);
    if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        if (*fd >= 0) close(*fd);
        *fd = -1;
        return FDPASS_TRUNCATED;
    }
    if (n == 0 && *fd < 0) return FDPASS_EOF;
    *len = (size_t)n;
    return FDPASS_OK;
}
