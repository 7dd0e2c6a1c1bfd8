#include "lib/eyeballs.h"

#include "lib/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EYEBALLS_MAGIC = 0x65796573 };

enum candidate_state { WAITING, CONNECTING, OUT };

struct candidate {
    struct eyeballs *owner;
    struct addr addr;
    enum candidate_state state;
    int fd;
    struct event *event;
};

struct eyeballs {
    unsigned magic;
    struct loop *loop;
    const struct eyeballs_events *events;
    void *arg;
    struct candidate candidates[EYEBALLS_MAX];
    size_t count;
    sa_family_t last; /* of the one that was begun last */
    bool ended, connected;
    struct event *tick;
};

static void tick_soon(struct eyeballs *eyeballs)
{
    event_active(eyeballs->tick, EV_TIMEOUT, 0);
}

static void give_up(struct candidate *candidate, enum candidate_state state)
{
    if (candidate->event) event_free(candidate->event);
    if (candidate->fd >= 0) close(candidate->fd);
    candidate->event = NULL;
    candidate->fd = -1;
    candidate->state = state;
}

static void refuse(struct candidate *candidate, int error)
{
    struct eyeballs *eyeballs = candidate->owner;
    give_up(candidate, OUT);
    eyeballs->events->on_refused(eyeballs->arg, &candidate->addr, error);
}

static int error_of(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 ? error : errno;
}

static void on_candidate(evutil_socket_t fd, short what, void *arg)
{
    struct candidate *candidate = arg;
    struct eyeballs *eyeballs = candidate->owner;
    CHECK_MAGIC(eyeballs, EYEBALLS_MAGIC);
    const int error = what & EV_TIMEOUT ? ETIMEDOUT : error_of(fd);
    if (error != 0) {
        refuse(candidate, error);
        tick_soon(eyeballs);
        return;
    }
    candidate->fd = -1;
    give_up(candidate, OUT);
    for (size_t i = 0; i < eyeballs->count; i++)
        if (eyeballs->candidates[i].state == CONNECTING) give_up(&eyeballs->candidates[i], WAITING);
    eyeballs->connected = true;
    event_del(eyeballs->tick);
    eyeballs->events->on_connected(eyeballs->arg, fd, &candidate->addr);
}

/* begin - returns 0, or errno. */
static int begin(struct candidate *candidate)
{
    static const struct timeval PATIENCE = {.tv_sec = EYEBALLS_PATIENCE_MS / 1000};
    const struct addr *addr = &candidate->addr;
    struct eyeballs *eyeballs = candidate->owner;
    const socklen_t len = addr->sa.sa_family == AF_INET6 ? sizeof(addr->in6) : sizeof(addr->in);
    candidate->fd = socket(addr->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (candidate->fd < 0) return errno;
    if (connect(candidate->fd, &addr->sa, len) != 0 && errno != EINPROGRESS) return errno;
    candidate->state = CONNECTING;
    eyeballs->last = addr->sa.sa_family;
    candidate->event = event_new(loop_base(eyeballs->loop), candidate->fd, EV_WRITE, on_candidate, candidate);
    CHECK(candidate->event && event_add(candidate->event, &PATIENCE) == 0);
    return 0;
}

/* next - of the other family than the one before, if there is one. */
static struct candidate *next(struct eyeballs *eyeballs)
{
    struct candidate *same = NULL;
    const sa_family_t wanted = eyeballs->last == AF_INET6 ? AF_INET : AF_INET6;
    for (size_t i = 0; i < eyeballs->count; i++) {
        struct candidate *candidate = &eyeballs->candidates[i];
        if (candidate->state != WAITING) continue;
        if (candidate->addr.sa.sa_family == wanted) return candidate;
        if (!same) same = candidate;
    }
    return same;
}

static bool is_connecting(const struct eyeballs *eyeballs)
{
    for (size_t i = 0; i < eyeballs->count; i++)
        if (eyeballs->candidates[i].state == CONNECTING) return true;
    return false;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    static const struct timeval DELAY = {.tv_usec = EYEBALLS_DELAY_MS * 1000L};
    struct eyeballs *eyeballs = arg;
    (void)fd;
    (void)what;
    CHECK_MAGIC(eyeballs, EYEBALLS_MAGIC);
    if (eyeballs->connected) return;
    struct candidate *candidate = next(eyeballs);
    while (candidate) {
        const int error = begin(candidate);
        if (error == 0) break;
        refuse(candidate, error);
        candidate = next(eyeballs);
    }
    event_del(eyeballs->tick);
    if (next(eyeballs))
        event_add(eyeballs->tick, &DELAY);
    else if (eyeballs->ended && !is_connecting(eyeballs))
        eyeballs->events->on_exhausted(eyeballs->arg);
}

struct eyeballs *eyeballs_new(struct loop *loop, const struct eyeballs_events *events, void *arg)
{
    struct eyeballs *eyeballs = MEM_NEW(struct eyeballs);
    eyeballs->magic = EYEBALLS_MAGIC;
    eyeballs->loop = loop;
    eyeballs->events = events;
    eyeballs->arg = arg;
    eyeballs->tick = event_new(loop_base(loop), -1, 0, on_tick, eyeballs);
    CHECK(eyeballs->tick);
    return eyeballs;
}

void eyeballs_free(struct eyeballs **eyeballs)
{
    struct eyeballs *e = *eyeballs;
    if (!e) return;
    CHECK_MAGIC(e, EYEBALLS_MAGIC);
    *eyeballs = NULL;
    for (size_t i = 0; i < e->count; i++)
        give_up(&e->candidates[i], OUT);
    event_free(e->tick);
    e->magic = 0;
    free(e);
}

void eyeballs_add(struct eyeballs *eyeballs, const struct addr *addr)
{
    if (eyeballs->count == EYEBALLS_MAX) return;
    eyeballs->candidates[eyeballs->count++] = (struct candidate){.owner = eyeballs, .addr = *addr, .fd = -1};
    if (!event_pending(eyeballs->tick, EV_TIMEOUT, NULL)) tick_soon(eyeballs);
}

void eyeballs_end(struct eyeballs *eyeballs)
{
    eyeballs->ended = true;
    if (!event_pending(eyeballs->tick, EV_TIMEOUT, NULL)) tick_soon(eyeballs);
}

void eyeballs_resume(struct eyeballs *eyeballs)
{
    eyeballs->connected = false;
    tick_soon(eyeballs);
}
