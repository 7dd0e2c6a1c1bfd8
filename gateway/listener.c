#include "gateway/listener.h"

#include "gateway/port_holder.h"
#include "lib/log.h"
#include "lib/mem.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    IN_USE_RETRIES = 20,
    IN_USE_RETRY_MS = 100,
    HOLDER_BYTES = 64,
};

/* An address that is not there yet: of a failover pair, or of an interface that comes up later. */
static bool set_freebind(int fd, sa_family_t family)
{
    const int on = 1;
    if (family == AF_INET6) return setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on)) == 0;
    return setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)) == 0;
}

static int new_socket(const struct listener_config *listener, const struct endpoint *at, bool shared)
{
    int fd = socket(at->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    const int on = 1;
    bool ok = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0;
    if (at->sa.sa_family == AF_INET6) ok = ok && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == 0;
    if (shared) ok = ok && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0;
    if (listener->freebind) ok = ok && set_freebind(fd, at->sa.sa_family);
    /* Accepted sockets inherit both.  Without SO_OOBINLINE one urgent byte makes peeking spin: readable, yet no more
     * bytes. */
    ok = ok && setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)) == 0;
    ok = ok && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0;
    if (listener->defer_accept_s > 0)
        ok = ok && setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &listener->defer_accept_s, sizeof(int)) == 0;
    if (!ok || bind(fd, &at->sa, at->len) < 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

/* SO_REUSEPORT would let us silently share a port with another program that sets it, too; without it the kernel
 * tells.  Workers of a gateway that was killed end within moments, so it is asked more than once. */
static int check_free(const struct listener_config *listener, const struct endpoint *at)
{
    for (int i = 0; i < IN_USE_RETRIES; i++) {
        int fd = new_socket(listener, at, false);
        if (fd >= 0 && listen(fd, 1) == 0) {
            close(fd);
            return 0;
        }
        int saved = errno;
        if (fd >= 0) close(fd);
        errno = saved;
        if (errno != EADDRINUSE) return -1;
        const struct timespec pause = {.tv_nsec = IN_USE_RETRY_MS * 1000000L};
        nanosleep(&pause, NULL);
        errno = saved;
    }
    return -1;
}

static void explain(const struct endpoint *at, int error, char *why, size_t cap)
{
    char text[ENDPOINT_TEXT_BYTES], holder[HOLDER_BYTES];
    endpoint_format(at, text, sizeof(text));
    if (error == EADDRINUSE && port_holder_find(&at->ip, holder, sizeof(holder)))
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

static void log_listening(const struct listener_config *listener, const struct endpoint *at)
{
    struct log_line line;
    char text[ENDPOINT_TEXT_BYTES];
    log_begin(&line, LOG_LEVEL_INFO, "listening");
    log_str(&line, "listener", listener->name);
    log_str(&line, "address", endpoint_format(at, text, sizeof(text)));
    log_end(&line);
}

/* One address, for all workers; position is its place among those of a worker. */
static int open_address(struct listener_set *set, const struct listener_config *listener, const struct endpoint *at,
                        size_t position)
{
    struct endpoint bound = *at;
    if (addr_port(&at->ip) != 0 && check_free(listener, at) < 0) return -1;
    for (size_t w = 0; w < set->worker_count; w++) {
        struct listener_socket *socket = &set->sockets[w * set->per_worker + position];
        socket->fd = new_socket(listener, &bound, true);
        if (socket->fd >= 0) keepalive_set(socket->fd, &listener->keepalive);
        if (socket->fd < 0 || listen(socket->fd, listener->backlog) < 0) return -1;
        /* Port 0 is the kernel's choice for the first, and then the same for all. */
        bound.len = sizeof(bound.ip);
        if (getsockname(socket->fd, &bound.sa, &bound.len) < 0) return -1;
    }
    log_listening(listener, &bound);
    return 0;
}

static struct listener_set *new_set(const struct gateway_config *config)
{
    struct listener_set *set = MEM_NEW(struct listener_set);
    set->worker_count = config->workers;
    for (size_t l = 0; l < config->listener_count; l++)
        set->per_worker += config->listeners[l].address_count;
    set->sockets = mem_alloc(set->worker_count * set->per_worker * sizeof(*set->sockets));
    for (size_t i = 0; i < set->worker_count * set->per_worker; i++)
        set->sockets[i].fd = -1;
    return set;
}

struct listener_set *listener_open_all(const struct gateway_config *config, char *why, size_t cap)
{
    struct listener_set *set = new_set(config);
    size_t position = 0;
    for (size_t l = 0; l < config->listener_count; l++) {
        const struct listener_config *listener = &config->listeners[l];
        for (size_t a = 0; a < listener->address_count; a++, position++) {
            const struct endpoint *at = listener_config_address(listener, a);
            for (size_t w = 0; w < set->worker_count; w++)
                set->sockets[w * set->per_worker + position].config = listener;
            if (open_address(set, listener, at, position) == 0) continue;
            explain(at, errno, why, cap);
            listener_set_free(&set);
            return NULL;
        }
    }
    return set;
}

void listener_keep_only(struct listener_set *set, size_t worker)
{
    for (size_t i = 0; i < set->worker_count * set->per_worker; i++) {
        if (i / set->per_worker == worker || set->sockets[i].fd < 0) continue;
        close(set->sockets[i].fd);
        set->sockets[i].fd = -1;
    }
}

void listener_set_free(struct listener_set **set)
{
    struct listener_set *old = *set;
    if (old == NULL) return;
    *set = NULL;
    listener_keep_only(old, SIZE_MAX);
    free(old->sockets);
    free(old);
}
