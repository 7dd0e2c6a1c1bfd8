#include "gateway/inlet_link.h"

#include "lib/fdpass.h"

#include <errno.h>
#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

/* Sockets in flight are lost if the backend dies: a small queue keeps them few. */
enum { QUEUE_BYTES = 64 * 1024 };

static void unwatch(struct inlet_link *link)
{
    if (link->watched != 0) event_free(link->event);
    link->event = NULL;
    link->watched = 0;
}

static void disconnect(struct inlet_link *link)
{
    if (link->fd < 0) return;
    unwatch(link);
    close(link->fd);
    link->fd = -1;
}

/* The backend never writes: readable means that it is gone.  Noticing it now keeps sockets out of a dead queue. */
static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct inlet_link *link = arg;
    char byte;
    if (what & EV_READ) {
        ssize_t n = recv((int)fd, &byte, 1, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) disconnect(link);
    }
    link->ready(link->arg);
}

static void watch(struct inlet_link *link, short what)
{
    if (link->watched == what) return;
    unwatch(link);
    link->event = event_new(link->base, link->fd, (short)(what | EV_PERSIST), on_event, link);
    CHECK(link->event != NULL);
    event_add(link->event, NULL);
    link->watched = what;
}

static bool connect_inlet(struct inlet_link *link)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    const int queue = QUEUE_BYTES;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &queue, sizeof(queue));
    if (connect(fd, &link->at->sa, link->at->len) < 0) {
        close(fd);
        return false;
    }
    link->fd = fd;
    watch(link, EV_READ);
    return true;
}

void inlet_link_init(struct inlet_link *link, const struct endpoint *at, struct event_base *base,
                     void (*ready)(void *arg), void *arg)
{
    *link = (struct inlet_link){.at = at, .base = base, .ready = ready, .arg = arg, .fd = -1};
}

void inlet_link_close(struct inlet_link *link)
{
    disconnect(link);
}

enum inlet_link_status inlet_link_send(struct inlet_link *link, int fd, const uint8_t *message, size_t len)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        if (link->fd < 0 && !connect_inlet(link)) return INLET_LINK_GONE;
        if (fdpass_send(link->fd, fd, message, len) == 0) return INLET_LINK_SENT;
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            watch(link, EV_READ | EV_WRITE);
            return INLET_LINK_BUSY;
        }
        /* Too many descriptors in flight, or no memory: the socket is writable nevertheless, so only time helps. */
        if (errno == ETOOMANYREFS || errno == ENOBUFS || errno == ENOMEM) break;
        disconnect(link);
    }
    inlet_link_rest(link);
    return INLET_LINK_GONE;
}

void inlet_link_rest(struct inlet_link *link)
{
    if (link->fd >= 0) watch(link, EV_READ);
}
