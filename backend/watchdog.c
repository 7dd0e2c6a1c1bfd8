#include "backend/watchdog.h"

#include "backend/shard.h"
#include "lib/log.h"
#include "lib/proc.h"

#include <event2/event.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { WATCHDOG_MAGIC = 0x77646f67 };

struct watchdog {
    unsigned magic;
    struct backend *backend;
    struct event *timer;
    atomic_uint silent; /* shards that have not answered the last question */
};

static void on_question(void *arg)
{
    struct watchdog *watchdog = arg;
    atomic_fetch_sub(&watchdog->silent, 1);
}

static void ask(struct watchdog *watchdog)
{
    struct backend *backend = watchdog->backend;
    atomic_store(&watchdog->silent, backend->shard_count);
    for (unsigned i = 0; i < backend->shard_count; i++)
        mailbox_post(backend->shards[i]->mailbox, on_question, watchdog);
}

/* A shard that has not answered since the last time is stuck: the manager's patience runs. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct watchdog *watchdog = arg;
    CHECK_MAGIC(watchdog, WATCHDOG_MAGIC);
    const unsigned silent = atomic_load(&watchdog->silent);
    if (silent > 0) {
        log_msg(LOG_LEVEL_ERROR, "watchdog", "%u of %u shards do not answer", silent, watchdog->backend->shard_count);
        return;
    }
    proc_notify("WATCHDOG=1");
    ask(watchdog);
}

struct watchdog *watchdog_new(struct backend *backend)
{
    const int64_t limit_us = proc_watchdog_us();
    if (limit_us == 0) return NULL;
    struct watchdog *watchdog = MEM_NEW(struct watchdog);
    watchdog->magic = WATCHDOG_MAGIC;
    watchdog->backend = backend;
    watchdog->timer = event_new(loop_base(backend->shards[0]->loop), -1, EV_PERSIST, on_timer, watchdog);
    const struct timeval half = {.tv_sec = limit_us / 2 / 1000000, .tv_usec = limit_us / 2 % 1000000};
    CHECK(watchdog->timer && event_add(watchdog->timer, &half) == 0);
    ask(watchdog);
    return watchdog;
}

void watchdog_free(struct watchdog **watchdog)
{
    struct watchdog *w = *watchdog;
    if (!w) return;
    CHECK_MAGIC(w, WATCHDOG_MAGIC);
    *watchdog = NULL;
    event_free(w->timer);
    w->magic = 0;
    free(w);
}
