#include "gateway/action_queue.h"

#include "gateway/action_proxy.h"
#include "gateway/worker.h"

#include <event2/event.h>
#include <poll.h>

enum { LOOK_MS = 20 };

static void look_later(struct upstream *upstream)
{
    const struct timeval delay = {.tv_usec = LOOK_MS * 1000L};
    evtimer_add(upstream->look, &delay);
}

/* Oldest first, until one has to go on waiting. */
static void serve(struct upstream *upstream)
{
    struct list *first;
    while ((first = list_first(&upstream->waiting)) != NULL) {
        conn_drive(LIST_ENTRY(first, struct conn_wait, link)->conn, CONN_WAKE_RETRY);
        if (list_first(&upstream->waiting) == first) break;
    }
    if (!list_empty(&upstream->waiting)) look_later(upstream);
}

static void on_wake(void *arg)
{
    serve(arg);
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    serve(arg);
}

void action_queue_init(struct upstream *upstream)
{
    list_init(&upstream->waiting);
    upstream->wake = (struct loop_deferred){.fn = on_wake, .arg = upstream};
    upstream->look = evtimer_new(loop_base(upstream->loop), on_look, upstream);
    CHECK(upstream->look != NULL);
}

void action_queue_close(struct upstream *upstream)
{
    loop_defer_cancel(&upstream->wake);
    event_free(upstream->look);
    upstream->look = NULL;
}

static void count(struct upstream *upstream, int change)
{
    /* Only this worker writes it. */
    uint32_t n = atomic_load_explicit(upstream->waiting_count, memory_order_relaxed);
    atomic_store_explicit(upstream->waiting_count, n + (uint32_t)change, memory_order_relaxed);
}

enum conn_state action_queue_start(struct conn *conn)
{
    struct upstream *upstream = conn->upstream;
    if (upstream_state_all_waiting(upstream->state, upstream->index) >= upstream->config->queue) {
        conn_discard(conn);
        return conn_ends(conn, CLOSE_QUEUE_FULL);
    }
    if (list_empty(&upstream->waiting)) look_later(upstream);
    list_append(&upstream->waiting, &conn_wait(conn)->link);
    count(upstream, 1);
    conn_count(conn, COUNTER_QUEUED, 1);
    return CONN_QUEUE;
}

void action_queue_leave(struct conn *conn)
{
    /* Without an upstream it is the queue of a handoff. */
    if (conn->upstream == NULL || conn->wait == NULL || !list_linked(&conn->wait->link)) return;
    list_remove(&conn->wait->link);
    count(conn->upstream, -1);
}

/* What a client that has gone away would get is better given to the next one. */
static bool is_gone(const struct conn *conn)
{
    struct pollfd client = {.fd = conn->client.fd};
    return poll(&client, 1, 0) == 1 && (client.revents & (POLLERR | POLLHUP)) != 0;
}

enum conn_state action_queue_step(struct conn *conn, unsigned wake)
{
    enum conn_state next = CONN_QUEUE;
    if (wake & CONN_WAKE_DEADLINE) {
        conn_discard(conn);
        next = conn_ends(conn, CLOSE_QUEUE_TIMEOUT);
    } else if (wake & CONN_WAKE_RETRY) {
        next = is_gone(conn) ? conn_resets(conn, CLOSE_CLIENT_RESET) : action_proxy_again(conn);
    }
    if (next != CONN_QUEUE) action_queue_leave(conn);
    return next;
}
