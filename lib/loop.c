#include "lib/loop.h"

#include "lib/mem.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

enum {
    LOOP_MAGIC = 0x6c6f6f70,
    DEADLINE_QUEUE_MAGIC = 0x64656164,
    LOOP_ROUNDS_MAX = 16, /* deferred work that defers more runs in the same turn this many times */
};

struct loop_signal {
    struct list link;
    int signo;
    void (*fn)(int signo, void *arg);
    void *arg;
    struct event *event;
};

struct loop_own {
    struct list link;
    void *(*make)(struct loop *loop);
    void (*end)(void *value);
    void *value;
};

struct loop {
    unsigned magic;
    struct event_base *base;
    bool running, stop;
    bool now_known; /* now_ms was read in this turn */
    int64_t now_ms;
    struct list deferred; /* struct loop_deferred */
    struct list signals;  /* struct loop_signal */
    struct list owned;    /* struct loop_own */
    void **blocks;        /* to be freed at the end of the turn */
    size_t block_count, block_cap;
};

/* Members are sorted by expires_ms.  timer_set: the timer is pending, for the first member's time or earlier (the
 * member it was set for may have moved on); it is never pending while the queue is empty. */
struct deadline_queue {
    unsigned magic;
    struct loop *loop;
    int64_t timeout_ms;
    deadline_fn *fn;
    void *arg;
    struct list members; /* struct deadline */
    struct event *timer;
    bool timer_set;
    bool calling, freed; /* an fn that frees the queue leaves the struct itself to deadline_queue_on_timer */
};

struct loop *loop_new(void)
{
    struct loop *loop = MEM_NEW(struct loop);
    struct event_config *config = event_config_new();
    CHECK(config != NULL);
    /* No change lists (EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST): they take a descriptor out of epoll only at the next
     * wait. One that was closed by then, but lives on in another process (a handed-off socket), could never be taken
     * out, and its events would wake us for ever. */
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    loop->magic = LOOP_MAGIC;
    loop->base = event_base_new_with_config(config);
    event_config_free(config);
    CHECK(loop->base != NULL);
    list_init(&loop->deferred);
    list_init(&loop->signals);
    list_init(&loop->owned);
    return loop;
}

static void loop_free_blocks(struct loop *loop)
{
    for (size_t i = 0; i < loop->block_count; i++)
        free(loop->blocks[i]);
    loop->block_count = 0;
    free(loop->blocks); /* an idle loop keeps no memory for its busiest turn */
    loop->blocks = NULL;
    loop->block_cap = 0;
}

void loop_free(struct loop **loop)
{
    struct loop *l = *loop;
    if (!l) return;
    CHECK_MAGIC(l, LOOP_MAGIC);
    CHECK(!l->running);
    *loop = NULL;
    LIST_EACH (link, &l->owned) {
        struct loop_own *own = LIST_ENTRY(link, struct loop_own, link);
        own->end(own->value);
        free(own);
    }
    LIST_EACH (link, &l->deferred)
        list_remove(link);
    LIST_EACH (link, &l->signals) {
        struct loop_signal *s = LIST_ENTRY(link, struct loop_signal, link);
        event_free(s->event);
        free(s);
    }
    loop_free_blocks(l);
    event_base_free(l->base);
    l->magic = 0;
    free(l);
}

struct event_base *loop_base(struct loop *loop)
{
    return loop->base;
}

static void loop_run_deferred(struct loop *loop)
{
    for (int round = 0; round < LOOP_ROUNDS_MAX && !list_empty(&loop->deferred); round++) {
        struct list batch;
        list_append(&loop->deferred, &batch); /* the batch takes the head's place ... */
        list_remove(&loop->deferred);         /* ... and the head is an empty list again */
        for (struct list *link = list_first(&batch); link; link = list_first(&batch)) {
            struct loop_deferred *d = LIST_ENTRY(link, struct loop_deferred, link);
            list_remove(link);
            d->fn(d->arg); /* may free d */
        }
    }
}

void loop_run(struct loop *loop)
{
    CHECK_MAGIC(loop, LOOP_MAGIC);
    CHECK(!loop->running);
    loop->running = true;
    while (!loop->stop) {
        int flags = EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY;
        if (!list_empty(&loop->deferred)) flags |= EVLOOP_NONBLOCK;
        loop->now_known = false;
        CHECK(event_base_loop(loop->base, flags) >= 0);
        loop_run_deferred(loop);
        loop_free_blocks(loop);
    }
    loop->running = loop->stop = loop->now_known = false;
}

void loop_stop(struct loop *loop)
{
    loop->stop = true;
}

int64_t loop_now_ms(struct loop *loop)
{
    struct timespec ts;
    if (loop->now_known) return loop->now_ms;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    loop->now_ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
    loop->now_known = loop->running; /* outside loop_run there are no turns to read it once for */
    return loop->now_ms;
}

void loop_defer(struct loop *loop, struct loop_deferred *d)
{
    if (!list_linked(&d->link)) list_append(&loop->deferred, &d->link);
}

void loop_defer_cancel(struct loop_deferred *d)
{
    list_remove(&d->link);
}

void loop_defer_free(struct loop *loop, void *block)
{
    if (loop->block_count == loop->block_cap) {
        loop->block_cap = loop->block_cap ? loop->block_cap * 2 : 16;
        loop->blocks = mem_realloc(loop->blocks, loop->block_cap * sizeof(*loop->blocks));
    }
    loop->blocks[loop->block_count++] = block;
}

static void loop_on_signal_event(evutil_socket_t signo, short what, void *arg)
{
    struct loop_signal *s = arg;
    (void)what;
    s->fn((int)signo, s->arg);
}

void loop_on_signal(struct loop *loop, int signo, void (*fn)(int signo, void *arg), void *arg)
{
    LIST_EACH (link, &loop->signals)
        CHECK(LIST_ENTRY(link, struct loop_signal, link)->signo != signo);
    struct loop_signal *s = MEM_NEW(struct loop_signal);
    s->signo = signo;
    s->fn = fn;
    s->arg = arg;
    s->event = evsignal_new(loop->base, signo, loop_on_signal_event, s);
    CHECK(s->event && evsignal_add(s->event, NULL) == 0);
    list_append(&loop->signals, &s->link);
}

void *loop_local(struct loop *loop, void *(*make)(struct loop *loop), void (*end)(void *value))
{
    LIST_EACH (link, &loop->owned) {
        struct loop_own *own = LIST_ENTRY(link, struct loop_own, link);
        if (own->make == make) return own->value;
    }
    struct loop_own *own = MEM_NEW(struct loop_own);
    own->make = make;
    own->end = end;
    own->value = make(loop);
    list_append(&loop->owned, &own->link);
    return own->value;
}

static void deadline_queue_set_timer(struct deadline_queue *queue, int64_t wait_ms)
{
    struct timeval tv = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};
    CHECK(evtimer_add(queue->timer, &tv) == 0);
    queue->timer_set = true;
}

static void deadline_queue_on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct deadline_queue *queue = arg;
    (void)fd, (void)what;
    CHECK_MAGIC(queue, DEADLINE_QUEUE_MAGIC);
    int64_t now_ms = loop_now_ms(queue->loop);
    struct list *link;
    queue->timer_set = false;
    queue->calling = true;
    while ((link = list_first(&queue->members)) != NULL) {
        struct deadline *d = LIST_ENTRY(link, struct deadline, link);
        if (d->expires_ms > now_ms) {
            deadline_queue_set_timer(queue, d->expires_ms - now_ms);
            break;
        }
        list_remove(link);
        queue->fn(d, queue->arg);
    }
    queue->calling = false;
    if (queue->freed) free(queue);
}

void deadline_queue_set_timeout(struct deadline_queue *queue, int64_t timeout_ms)
{
    /* A member that fn arms again must not be due in the same turn, or the turn would never end. */
    queue->timeout_ms = timeout_ms > 0 ? timeout_ms : 1;
}

struct deadline_queue *deadline_queue_new(struct loop *loop, int64_t timeout_ms, deadline_fn *fn, void *arg)
{
    struct deadline_queue *queue = MEM_NEW(struct deadline_queue);
    queue->magic = DEADLINE_QUEUE_MAGIC;
    queue->loop = loop;
    deadline_queue_set_timeout(queue, timeout_ms);
    queue->fn = fn;
    queue->arg = arg;
    list_init(&queue->members);
    queue->timer = evtimer_new(loop->base, deadline_queue_on_timer, queue);
    CHECK(queue->timer != NULL);
    return queue;
}

void deadline_queue_free(struct deadline_queue **queue)
{
    struct deadline_queue *q = *queue;
    if (!q) return;
    CHECK_MAGIC(q, DEADLINE_QUEUE_MAGIC);
    *queue = NULL;
    LIST_EACH (link, &q->members)
        list_remove(link);
    event_free(q->timer);
    q->magic = 0;
    q->freed = true;
    if (!q->calling) free(q);
}

/* Take d out of its queue.  Returns that queue's list when d was the last in it: its only neighbour is the head. */
static struct list *deadline_take(struct deadline *d)
{
    struct list *head = list_linked(&d->link) && d->link.prev == d->link.next ? d->link.next : NULL;
    list_remove(&d->link);
    return head;
}

static void deadline_queue_stop_timer(struct list *members)
{
    struct deadline_queue *queue = CONTAINER_OF(members, struct deadline_queue, members);
    CHECK_MAGIC(queue, DEADLINE_QUEUE_MAGIC);
    if (queue->timer_set) CHECK(evtimer_del(queue->timer) == 0);
    queue->timer_set = false;
}

void deadline_arm(struct deadline_queue *queue, struct deadline *d)
{
    struct list *emptied = deadline_take(d);
    if (emptied && emptied != &queue->members) deadline_queue_stop_timer(emptied);
    d->expires_ms = loop_now_ms(queue->loop) + queue->timeout_ms;
    list_append(&queue->members, &d->link);
    /* A timer that is set is early at worst, and set anew when it fires: arming again and again costs no timer. */
    if (!queue->timer_set && !queue->calling) deadline_queue_set_timer(queue, queue->timeout_ms);
}

void deadline_disarm(struct deadline *d)
{
    struct list *emptied = deadline_take(d);
    if (emptied) deadline_queue_stop_timer(emptied);
}

struct deadline *deadline_first(const struct deadline_queue *queue)
{
    struct list *link = list_first(&queue->members);
    return link ? LIST_ENTRY(link, struct deadline, link) : NULL;
}
