#include "gateway/probing.h"

#include "gateway/conn.h"
#include "gateway/worker.h"

static size_t most_connections(const struct worker *worker)
{
    size_t wanted = worker->config->limits.probing, all = worker->config->max_connections;
    if (wanted == 0) return (all + 1) / 2;
    return wanted < all ? wanted : all;
}

static bool over_count(const struct worker *worker)
{
    return worker->probing.count > most_connections(worker);
}

static bool over_bytes(const struct worker *worker)
{
    return worker->probing.bytes > worker->config->limits.probing_memory_bytes;
}

/* The oldest of those that help: any, or one with bytes. */
static struct conn *choose(const struct worker *worker)
{
    struct list *silent = list_first(&worker->probing.silent), *holding = list_first(&worker->probing.holding);
    struct conn *quiet = silent != NULL ? LIST_ENTRY(silent, struct conn_wait, link)->conn : NULL;
    struct conn *loud = holding != NULL ? LIST_ENTRY(holding, struct conn_wait, link)->conn : NULL;
    if (loud != NULL && (over_bytes(worker) || quiet == NULL || loud->start_ms <= quiet->start_ms)) return loud;
    return quiet;
}

static void hurry(struct conn *conn)
{
    conn->hurried = true;
    conn_drive(conn, CONN_WAKE_DEADLINE);
}

/* At the end of a turn: no step is under way that holds the shared buffer.  What is decided leaves the lists. */
static void relieve(void *arg)
{
    struct worker *worker = arg;
    const struct probing *probing = &worker->probing;
    while (over_count(worker) || over_bytes(worker)) {
        struct conn *conn = choose(worker);
        const size_t count = probing->count, bytes = probing->bytes;
        counter_add(worker->totals, COUNTER_PROBING_HURRIED, 1);
        /* Decided is not always gone: behind a PROXY header comes the look at the client's bytes, behind half of a
         * hello a handshake that is as undecided.  There is no time for that either. */
        do {
            hurry(conn);
        } while (probing->count == count && (over_count(worker) || probing->bytes >= bytes));
    }
}

static void changed(struct worker *worker)
{
    struct source_gauges *gauges = worker->limits.sources.gauges;
    atomic_store_explicit(&gauges->probing, worker->probing.count, memory_order_relaxed);
    atomic_store_explicit(&gauges->probing_bytes, worker->probing.bytes, memory_order_relaxed);
    if (over_count(worker) || over_bytes(worker)) loop_defer(worker->loop, &worker->probing.relief);
}

void probing_open(struct worker *worker)
{
    list_init(&worker->probing.silent);
    list_init(&worker->probing.holding);
    worker->probing.relief.fn = relieve;
    worker->probing.relief.arg = worker;
}

void probing_close(struct worker *worker)
{
    loop_defer_cancel(&worker->probing.relief);
}

void probing_wait(struct conn *conn, size_t seen)
{
    struct probing *probing = &conn->worker->probing;
    if (!conn->probing || (conn->seen == 0) != (seen == 0)) {
        struct list *link = &conn_wait(conn)->link;
        list_remove(link);
        list_append(seen > 0 ? &probing->holding : &probing->silent, link);
    }
    if (!conn->probing)
        probing->count++;
    else
        probing->bytes -= conn->seen;
    conn->probing = true;
    probing->bytes += seen;
    conn->seen = (uint32_t)seen;
    changed(conn->worker);
}

void probing_leave(struct conn *conn)
{
    struct probing *probing = &conn->worker->probing;
    if (!conn->probing) return;
    conn->probing = false;
    conn_wait_done(conn);
    probing->count--;
    probing->bytes -= conn->seen;
    changed(conn->worker);
}
