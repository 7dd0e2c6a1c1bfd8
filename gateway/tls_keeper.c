#include "gateway/tls_keeper.h"

#include "lib/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tls_keeper {
    struct tls_tickets *tickets;
    struct event *rotation; /* timer */
};

static void on_rotation(evutil_socket_t fd, short what, void *arg)
{
    struct tls_keeper *keeper = arg;
    (void)fd, (void)what;
    int64_t left_ms = tls_tickets_rotate(keeper->tickets);
    const struct timeval left = {.tv_sec = left_ms / 1000, .tv_usec = left_ms % 1000 * 1000};
    evtimer_add(keeper->rotation, &left);
}

struct tls_keeper *tls_keeper_new(struct loop *loop, int fd, int64_t rotation_ms, char *why, size_t cap)
{
    struct tls_tickets *tickets = fd >= 0 ? tls_tickets_adopt(fd, rotation_ms) : NULL;
    if (tickets == NULL) tickets = tls_tickets_new(rotation_ms);
    if (tickets == NULL) {
        snprintf(why, cap, "no memory for the keys of session tickets: %s", strerror(errno));
        return NULL;
    }
    struct tls_keeper *keeper = MEM_NEW(struct tls_keeper);
    keeper->tickets = tickets;
    keeper->rotation = evtimer_new(loop_base(loop), on_rotation, keeper);
    CHECK(keeper->rotation != NULL);
    on_rotation(-1, 0, keeper);
    return keeper;
}

void tls_keeper_set_rotation(struct tls_keeper *keeper, int64_t rotation_ms)
{
    tls_tickets_set_rotation(keeper->tickets, rotation_ms);
    on_rotation(-1, 0, keeper);
}

int tls_keeper_fd(const struct tls_keeper *keeper)
{
    return tls_tickets_fd(keeper->tickets);
}

struct tls_tickets *tls_keeper_release(struct tls_keeper **keeper)
{
    struct tls_keeper *old = *keeper;
    struct tls_tickets *tickets = old->tickets;
    tls_tickets_protect(tickets);
    old->tickets = NULL;
    tls_keeper_free(keeper);
    return tickets;
}

void tls_keeper_free(struct tls_keeper **keeper)
{
    struct tls_keeper *old = *keeper;
    if (old == NULL) return;
    *keeper = NULL;
    event_free(old->rotation);
    tls_tickets_free(&old->tickets);
    free(old);
}
