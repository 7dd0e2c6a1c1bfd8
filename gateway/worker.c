#include "gateway/worker.h"

#include "gateway/action_handoff.h"
#include "gateway/channel.h"
#include "gateway/conn.h"
#include "gateway/intake.h"
#include "gateway/listener_pool.h"
#include "gateway/upstream.h"
#include "gateway/worker_channel.h"
#include "gateway/worker_tls.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/proc.h"
#include "lib/sandbox.h"

#include <event2/event.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    WORKER_MAGIC = 0x574f524b,
    NAP_MS = 50,              /* a pause before asking the kernel again for what it will not tell by an event */
    DESCRIPTORS_PER_CONN = 2, /* client and server */
    DESCRIPTORS_OTHER = 128,  /* listeners, backends, idle pipes; without a descriptor for a pipe bytes are copied */
};

static void on_deadline(struct deadline *d, void *arg)
{
    (void)arg;
    conn_drive(CONTAINER_OF(d, struct conn, deadline), CONN_WAKE_DEADLINE);
}

static void on_nap(struct deadline *nap, void *arg)
{
    (void)arg;
    conn_drive(CONTAINER_OF(nap, struct conn, nap), CONN_WAKE_RETRY);
}

void worker_end(struct worker *worker)
{
    LIST_EACH (pos, &worker->conns)
        conn_close(LIST_ENTRY(pos, struct conn, link), CLOSE_DRAINED);
    loop_stop(worker->loop);
}

static void on_drain_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    worker_end(arg);
}

void worker_drain(struct worker *worker, int64_t timeout_ms, worker_empties_fn *empties, const void *arg)
{
    for (size_t i = 0; i < worker->intake_count && !worker->draining; i++) {
        struct intake *intake = &worker->intakes[i];
        intake_stop(intake, empties(intake->socket->id, arg));
    }
    worker->draining = true;
    const struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    evtimer_del(worker->drain_timer);
    if (worker->conn_count == 0 || timeout_ms == 0)
        worker_end(worker);
    else if (timeout_ms > 0)
        evtimer_add(worker->drain_timer, &timeout);
}

static void note_connections(struct worker *worker)
{
    atomic_store_explicit(&worker->limits.sources.gauges->connections, worker->conn_count, memory_order_relaxed);
}

void worker_conn_came(struct worker *worker)
{
    worker->conn_count++;
    note_connections(worker);
}

void worker_conn_gone(struct worker *worker)
{
    CHECK(worker->conn_count > 0);
    worker->conn_count--;
    note_connections(worker);
    if (worker->draining && worker->conn_count == 0) loop_stop(worker->loop);
}

static bool all_sockets(uint64_t socket, const void *arg)
{
    (void)socket, (void)arg;
    return true;
}

static void on_signal(int signo, void *arg)
{
    struct worker *worker = arg;
    if (signo == SIGTERM)
        worker_drain(worker, worker->config->drain_timeout_ms, all_sockets, NULL);
    else
        worker_end(arg);
}

/* One connection too many is closed and counted; one that finds no descriptor could only wait to be accepted. */
static void fit_descriptors(struct gateway_config *config)
{
    size_t limit = proc_raise_nofile(), wanted = config->max_connections * DESCRIPTORS_PER_CONN + DESCRIPTORS_OTHER;
    if (limit >= wanted) return;
    size_t room = limit > DESCRIPTORS_OTHER ? (limit - DESCRIPTORS_OTHER) / DESCRIPTORS_PER_CONN : 0;
    log_msg(LOG_LEVEL_WARN, "few_descriptors",
            "max-connections = %zu needs %zu descriptors and the limit is %zu: it is lowered to %zu",
            config->max_connections, wanted, limit, room > 0 ? room : 1);
    config->max_connections = room > 0 ? room : 1;
}

/* Rights are given up first, then everything else that the worker will never need. */
static int confine(const struct gateway_config *config, char *why, size_t cap)
{
    int capability = -1;
    for (size_t i = 0; i < config->upstream_count; i++)
        if (config->upstreams[i].transparent) capability = CAP_NET_RAW;
    if (proc_drop_privileges_but(config->user, config->group, capability, why, cap) < 0) return -1;
    if (!config->sandbox) return 0;
    bool landlock = false;
    const struct sandbox_rules rules = {.may_bind_source = capability >= 0};
    if (sandbox_enter(&rules, &landlock, why, cap) < 0) return -1;
    log_msg(LOG_LEVEL_DEBUG, "sandbox", "landlock %s", landlock ? "in force" : "not in this kernel");
    return 0;
}

static void open_handoff(struct worker *worker, size_t i)
{
    const struct handoff_config *config = &worker->config->backends[i];
    struct upstream *fallback = NULL;
    if (config->fallback != NULL)
        fallback = &worker->upstreams[gateway_config_upstream(worker->config, config->fallback)];
    action_handoff_init(&worker->handoffs[i], config, worker->loop,
                        deadline_queue_new(worker->loop, config->handoff_timeout_ms, on_deadline, worker), fallback);
}

static void open_queues(struct worker *worker, const struct upstream_state *state)
{
    const struct gateway_config *config = worker->config;
    struct loop *loop = worker->loop;
    worker->peek_queue = deadline_queue_new(loop, config->peek_timeout_ms, on_deadline, worker);
    worker->nap_queue = deadline_queue_new(loop, NAP_MS, on_nap, worker);
    worker->handshake_queue = deadline_queue_new(loop, config->handshake_timeout_ms, on_deadline, worker);
    worker->idle_queue = deadline_queue_new(loop, config->idle_timeout_ms, on_deadline, worker);
    worker->half_closed_queue = deadline_queue_new(loop, config->half_closed_timeout_ms, on_deadline, worker);
    worker->upstreams = mem_alloc((config->upstream_count + 1) * sizeof(*worker->upstreams));
    for (size_t i = 0; i < config->upstream_count; i++) {
        struct upstream *upstream = &worker->upstreams[i];
        upstream_init(upstream, state, worker->index, i, loop);
        upstream->connect_queue = deadline_queue_new(loop, upstream->config->connect_timeout_ms, on_deadline, worker);
        upstream->wait_queue = deadline_queue_new(loop, upstream->config->queue_timeout_ms, on_deadline, worker);
    }
    worker->handoffs = mem_alloc((config->backend_count + 1) * sizeof(*worker->handoffs));
    for (size_t i = 0; i < config->backend_count; i++)
        open_handoff(worker, i);
}

static void open_routes(struct worker *worker, struct counters *counters)
{
    struct gateway_config *config = worker->config;
    worker->counters = counters;
    worker->totals = counters_block(counters, "");
    worker->route_totals = mem_alloc(route_count(config->routes) * sizeof(*worker->route_totals));
    for (size_t i = 0; i < route_count(config->routes); i++) {
        struct route *route = route_at(config->routes, i);
        worker->route_totals[i] = counters_block(counters, route->name);
        CHECK(worker->totals != NULL && worker->route_totals[i] != NULL);
        if (route->action == ROUTE_PROXY)
            route->user = &worker->upstreams[gateway_config_upstream(config, route->target)];
        else if (route->action == ROUTE_HANDOFF)
            route->user = &worker->handoffs[gateway_config_backend(config, route->target)];
        else if (route->action == ROUTE_TERMINATE)
            route->user = worker->tls[gateway_config_tls(config, route->target)];
    }
}

/* The upper half is drawn at random for each process, the lower half counts. */
static uint64_t first_id(void)
{
    uint32_t random = 0;
    CHECK(getrandom(&random, sizeof(random), 0) == sizeof(random));
    return (uint64_t)random << 32;
}

static void worker_open(struct worker *worker, const struct worker_start *start)
{
    worker->magic = WORKER_MAGIC;
    worker->index = start->index;
    worker->config = start->config;
    worker->loop = loop_new();
    worker->poller = poller_new(worker->loop, conn_on_ready);
    worker->next_id = first_id();
    worker->peek_buffer = mem_alloc(start->config->peek_limit_bytes);
    list_init(&worker->conns);
    limits_open(worker, start->sources, start->source_region);
    probing_open(worker);
    relay_shared_init(&worker->relay);
    worker->upstream_state = start->upstreams;
    open_queues(worker, start->upstreams);
    worker_tls_open(worker, start->tickets);
    open_routes(worker, start->counters);
    struct event_base *base = loop_base(worker->loop);
    worker->drain_timer = evtimer_new(base, on_drain_timer, worker);
    CHECK(worker->drain_timer != NULL);
    worker->channel = worker_channel_open(worker, start->channel);
    loop_on_signal(worker->loop, SIGTERM, on_signal, worker);
    loop_on_signal(worker->loop, SIGINT, on_signal, worker);
}

static void start_accepting(struct worker *worker, struct listener_set *listeners)
{
    worker->intake_count = listeners->count;
    worker->intakes = mem_alloc((listeners->count + 1) * sizeof(*worker->intakes));
    for (size_t i = 0; i < listeners->count; i++)
        intake_start(&worker->intakes[i], worker, &listeners->sockets[i]);
}

static void worker_close(struct worker *worker)
{
    const struct gateway_config *config = worker->config;
    for (size_t i = 0; i < worker->intake_count; i++)
        intake_stop(&worker->intakes[i], false);
    LIST_EACH (pos, &worker->conns)
        conn_close(LIST_ENTRY(pos, struct conn, link), CLOSE_DRAINED);
    for (size_t i = 0; i < config->upstream_count; i++)
        upstream_close(&worker->upstreams[i]);
    for (size_t i = 0; i < config->backend_count; i++)
        action_handoff_close(&worker->handoffs[i]);
    probing_close(worker);
    limits_close(worker);
    worker_tls_close(worker);
    deadline_queue_free(&worker->peek_queue);
    deadline_queue_free(&worker->nap_queue);
    deadline_queue_free(&worker->handshake_queue);
    deadline_queue_free(&worker->idle_queue);
    deadline_queue_free(&worker->half_closed_queue);
    event_free(worker->drain_timer);
    channel_free(&worker->channel);
    relay_shared_close(&worker->relay);
    poller_free(&worker->poller);
    loop_free(&worker->loop);
    free(worker->intakes);
    free(worker->upstreams);
    free(worker->handoffs);
    free(worker->route_totals);
    free(worker->peek_buffer);
    worker->magic = 0;
    free(worker);
}

int worker_main(const struct worker_start *start)
{
    char why[512];
    fit_descriptors(start->config);
    if (confine(start->config, why, sizeof(why)) < 0) {
        log_msg(LOG_LEVEL_ERROR, "worker_failed", "%s", why);
        close(start->channel);
        return EXIT_FAILURE;
    }
    struct worker *worker = MEM_NEW(struct worker);
    worker_open(worker, start);
    start_accepting(worker, start->listeners);
    bool told = worker_channel_ready(worker) == 0;
    if (told) loop_run(worker->loop);
    worker_close(worker);
    return told ? EXIT_SUCCESS : EXIT_FAILURE;
}
