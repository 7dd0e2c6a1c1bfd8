#include "gateway/listener.h"

#include "gateway/keepalive.h"
#include "gateway/port_holder.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    IN_USE_RETRIES = 20,
    IN_USE_RETRY_MS = 100,
    HOLDER_BYTES = 64,
};

/* What the kernel calls us; it keeps 15 bytes. */
static const char OUR_NAME[] = "postern-gateway";

/* Accepted sockets inherit both.  Without SO_OOBINLINE one urgent byte makes peeking spin: readable, yet no more
 * bytes. */
static bool set_inherited(int fd)
{
    const int on = 1;
    return setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)) == 0 &&
           setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0;
}

/* An address that is not there yet: of a failover pair, or of an interface that comes up later. */
static bool set_freebind(int fd, sa_family_t family)
{
    const int on = 1;
    if (family == AF_INET6) return setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on)) == 0;
    return setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)) == 0;
}

static int new_socket(const struct listener_config *config, const struct endpoint *at, bool shared)
{
    int fd = socket(at->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    const int on = 1;
    bool ok = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0;
    if (at->sa.sa_family == AF_INET6) ok = ok && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == 0;
    if (shared) ok = ok && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0;
    if (config->freebind) ok = ok && set_freebind(fd, at->sa.sa_family);
    ok = ok && set_inherited(fd);
    if (!ok || bind(fd, &at->sa, at->len) < 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

void listener_prepare_passed(int fd)
{
    (void)set_inherited(fd);
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* SO_REUSEPORT would let us silently share a port with another program that sets it, too; without it the kernel
 * tells. */
int listener_check_free(const struct listener_config *config, const struct endpoint *at, bool patient)
{
    for (int i = 0; i < IN_USE_RETRIES; i++) {
        int fd = new_socket(config, at, false);
        int rc = fd >= 0 ? listen(fd, 1) : -1;
        int saved = errno;
        if (fd >= 0) close(fd);
        if (rc == 0) return 0;
        errno = saved;
        if (errno != EADDRINUSE || !patient) return -1;
        const struct timespec pause = {.tv_nsec = IN_USE_RETRY_MS * 1000000L};
        nanosleep(&pause, NULL);
        errno = saved;
    }
    return -1;
}

void listener_tune(int fd, const struct listener_config *config)
{
    const int off = 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &off, sizeof(off));
    keepalive_set(fd, &config->keepalive);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &config->defer_accept_s, sizeof(int));
    (void)listen(fd, config->backlog);
}

int listener_open(const struct listener_config *config, const struct endpoint *at, struct endpoint *bound)
{
    int fd = new_socket(config, at, true);
    if (fd < 0) return -1;
    bound->len = sizeof(bound->ip);
    listener_tune(fd, config);
    if (listen(fd, config->backlog) == 0 && getsockname(fd, &bound->sa, &bound->len) == 0) return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

void listener_explain(const struct endpoint *at, int error, char *why, size_t cap)
{
    char text[ENDPOINT_TEXT_BYTES], holder[HOLDER_BYTES], ourselves[32];
    endpoint_format(at, text, sizeof(text));
    bool found = error == EADDRINUSE && port_holder_find(&at->ip, holder, sizeof(holder));
    snprintf(ourselves, sizeof(ourselves), " (pid %d)", (int)getpid());
    if (found && strstr(holder, ourselves) != NULL)
        snprintf(why, cap,
                 "cannot listen on %s: in use by a socket of our own, as one for IPv6 that takes IPv4, too (systemd's "
                 "need BindIPv6Only=ipv6-only)",
                 text);
    else if (found && strncmp(holder, OUR_NAME, strlen(OUR_NAME)) == 0)
        snprintf(why, cap, "cannot listen on %s: in use by %s: a gateway that runs already; stop or reload that one",
                 text, holder);
    else if (found)
        snprintf(why, cap, "cannot listen on %s: in use by %s; move it to another port and let the gateway in front",
                 text, holder);
    else if (error == EADDRINUSE)
        snprintf(why, cap,
                 "cannot listen on %s: in use by another program (as root, \"ss -ltnp\" tells which); move it to "
                 "another port and let the gateway in front",
                 text);
    else if (error == EACCES)
        snprintf(why, cap,
                 "cannot listen on %s: permission denied; start as root, or with the capability CAP_NET_BIND_SERVICE",
                 text);
    else
        snprintf(why, cap, "cannot listen on %s: %s", text, strerror(error));
}
