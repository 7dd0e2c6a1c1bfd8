#include "backend/stop_later.h"

#include "backend/shard.h"
#include "lib/log.h"
#include "lib/mem.h"

#include <signal.h>
#include <stdlib.h>

struct stop_order {
    struct backend *backend;
    int64_t delay_ms;
    bool restart;
    char *who;
};

static void on_time(struct deadline *deadline, void *arg)
{
    (void)deadline;
    (void)arg;
    raise(SIGTERM); /* on the main thread: its loop stops in order */
}

static void on_order(void *arg)
{
    struct stop_order *order = arg;
    struct shard *first = order->backend->shards[0];
    log_msg(LOG_LEVEL_WARN, order->restart ? "restart" : "shutdown", "in %lld s, at the word of %s",
            (long long)(order->delay_ms / 1000), order->who);
    atomic_store(&order->backend->restart, order->restart);
    deadline_disarm(&first->order);
    deadline_queue_free(&first->orders);
    first->orders = deadline_queue_new(first->loop, order->delay_ms, on_time, NULL);
    deadline_arm(first->orders, &first->order);
    free(order->who);
    free(order);
}

void stop_later(struct backend *backend, int64_t delay_ms, bool restart, const char *who)
{
    struct stop_order *order = MEM_NEW(struct stop_order);
    order->backend = backend;
    order->delay_ms = delay_ms;
    order->restart = restart;
    order->who = mem_strdup(who);
    mailbox_post(backend->shards[0]->mailbox, on_order, order);
}
