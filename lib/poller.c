#include "lib/poller.h"

#include "lib/mem.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    POLLER_MAGIC = 0x706f6c6c,
    BATCH = 256, /* sockets for each turn; there is a next one */
};

struct poller {
    unsigned magic;
    int fd;
    poller_fn *fn;
    struct event *event;
};

static short ready_for(uint32_t events)
{
    if (events & (EPOLLERR | EPOLLHUP)) return EV_READ | EV_WRITE;
    return (short)((events & EPOLLIN ? EV_READ : 0) | (events & EPOLLOUT ? EV_WRITE : 0));
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct poller *poller = arg;
    struct epoll_event events[BATCH];
    (void)what;
    CHECK_MAGIC(poller, POLLER_MAGIC);
    int n = epoll_wait((int)fd, events, BATCH, 0);
    for (int i = 0; i < n; i++) {
        uintptr_t key = (uintptr_t)events[i].data.ptr;
        unsigned tag = key & POLLER_TAG_MAX;
        poller->fn((void *)(key - tag), tag, ready_for(events[i].events));
    }
}

struct poller *poller_new(struct loop *loop, poller_fn *fn)
{
    struct poller *poller = MEM_NEW(struct poller);
    poller->magic = POLLER_MAGIC;
    poller->fn = fn;
    poller->fd = epoll_create1(EPOLL_CLOEXEC);
    CHECK(poller->fd >= 0);
    poller->event = event_new(loop_base(loop), poller->fd, EV_READ | EV_PERSIST, on_ready, poller);
    CHECK(poller->event != NULL && event_add(poller->event, NULL) == 0);
    return poller;
}

void poller_free(struct poller **poller)
{
    struct poller *old = *poller;
    if (old == NULL) return;
    *poller = NULL;
    event_free(old->event);
    close(old->fd);
    old->magic = 0;
    free(old);
}

void poller_watch(struct poller *poller, int fd, uint8_t *watched, short what, void *owner, unsigned tag)
{
    if (*watched == what) return;
    CHECK(tag <= POLLER_TAG_MAX && ((uintptr_t)owner & POLLER_TAG_MAX) == 0);
    struct epoll_event event = {.events = (what & EV_READ ? EPOLLIN : 0) | (what & EV_WRITE ? EPOLLOUT : 0),
                                .data.ptr = (char *)owner + tag};
    int op = *watched == 0 ? EPOLL_CTL_ADD : what == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    /* It fails when the kernel is out of memory; the socket then ends by its deadline. */
    (void)epoll_ctl(poller->fd, op, fd, &event);
    *watched = (uint8_t)what;
}
