#include "gateway/upstream.h"

#include "gateway/action_queue.h"
#include "lib/log.h"
#include "lib/mem.h"

#include <stdlib.h>

enum { TRIAL_EXTRA_MS = 1000 }; /* beyond connect-timeout: after that, whoever tried the server is dead */

/* Workers begin at different servers, or the first would get the first connection of each. */
static void begin_elsewhere(struct upstream *upstream, size_t worker)
{
    size_t count = upstream->config->server_count;
    uint64_t all = count < BALANCE_SERVERS_MAX ? (UINT64_C(1) << count) - 1 : UINT64_MAX;
    for (size_t i = 0; i < worker % count; i++)
        (void)balance_choose(BALANCE_ROUND_ROBIN, upstream->balance, all, 0);
}

void upstream_init(struct upstream *upstream, const struct upstream_state *state, size_t worker, size_t index,
                   struct loop *loop)
{
    const struct upstream_config *config = upstream_state_config(state, index);
    *upstream = (struct upstream){.config = config,
                                  .state = state,
                                  .index = index,
                                  .servers = upstream_state_servers(state, index),
                                  .cells = upstream_state_cells(state, worker, index),
                                  .waiting_count = upstream_state_waiting(state, worker, index),
                                  .loop = loop};
    upstream->balance = mem_alloc(config->server_count * sizeof(*upstream->balance));
    for (size_t i = 0; i < config->server_count; i++)
        upstream->balance[i] =
            (struct balance_server){.seed = balance_seed(config->servers[i].name), .weight = config->servers[i].weight};
    begin_elsewhere(upstream, worker);
    action_queue_init(upstream);
}

void upstream_close(struct upstream *upstream)
{
    action_queue_close(upstream);
    deadline_queue_free(&upstream->connect_queue);
    deadline_queue_free(&upstream->wait_queue);
    free(upstream->balance);
    upstream->balance = NULL;
}

/* Sets of servers, as bits. */
struct survey {
    uint64_t primary, backup; /* can be used */
    uint64_t ejected;         /* could be tried when nothing else is left */
    uint64_t full;
};

/* Whether a server may get new connections at all; its weight is looked at by the way. */
static bool is_open(struct upstream *upstream, size_t i)
{
    const struct upstream_server *server = &upstream->servers[i];
    const struct server_text *config = &upstream->config->servers[i];
    if (atomic_load_explicit(&server->admin, memory_order_relaxed) != UPSTREAM_READY) return false;
    if (atomic_load_explicit(&server->down, memory_order_relaxed)) return false;
    if (config->host != NULL && atomic_load_explicit(&server->address.known, memory_order_relaxed) == 0) return false;
    upstream->balance[i].weight = upstream_state_weight(server, config);
    return upstream->balance[i].weight != 0;
}

static struct survey look_around(struct upstream *upstream, uint64_t tried, int64_t now_ms)
{
    struct survey survey = {0};
    const struct upstream_config *config = upstream->config;
    for (size_t i = 0; i < config->server_count; i++) {
        uint64_t bit = UINT64_C(1) << i;
        if ((tried & bit) != 0 || !is_open(upstream, i)) continue;
        enum ejection_state ejection = ejection_state(&upstream->servers[i].ejection, now_ms);
        if (ejection != EJECTION_NONE) survey.ejected |= bit;
        if (ejection != EJECTION_OUT) *(config->servers[i].backup ? &survey.backup : &survey.primary) |= bit;
        uint32_t limit = config->servers[i].max_connections;
        if (limit == 0 && config->balance != BALANCE_LEAST_CONNECTIONS) continue;
        upstream->balance[i].connections = upstream_state_connections(upstream->state, upstream->index, i);
        if (limit != 0 && upstream->balance[i].connections >= limit) survey.full |= bit;
    }
    if (config->max_connections != 0 &&
        upstream_state_all_connections(upstream->state, upstream->index) >= config->max_connections)
        survey.full = UINT64_MAX;
    return survey;
}

static uint32_t take(struct upstream *upstream, size_t server)
{
    /* Nobody else writes this cell, so no lock is needed on the bus. */
    struct upstream_cell *cell = &upstream->cells[server];
    uint32_t n = atomic_load_explicit(&cell->connections, memory_order_relaxed);
    uint64_t total = atomic_load_explicit(&cell->total, memory_order_relaxed);
    atomic_store_explicit(&cell->connections, n + 1, memory_order_relaxed);
    atomic_store_explicit(&cell->total, total + 1, memory_order_relaxed);
    return (uint32_t)server;
}

/* One of set that is not full.  A server whose time out is over is for one connection only: who comes too late for that
 * asks for another. */
static enum upstream_choice choose_among(struct upstream *upstream, uint64_t set, uint64_t full, uint64_t source,
                                         int64_t now_ms, uint32_t *server)
{
    if (set == 0) return UPSTREAM_NONE;
    if ((set & ~full) == 0) return UPSTREAM_FULL;
    for (uint64_t left = set & ~full; left != 0;) {
        size_t i = balance_choose(upstream->config->balance, upstream->balance, left, source);
        struct ejection *ejection = &upstream->servers[i].ejection;
        if (ejection_state(ejection, now_ms) == EJECTION_NONE ||
            ejection_try(ejection, now_ms, upstream->config->connect_timeout_ms + TRIAL_EXTRA_MS)) {
            *server = take(upstream, i);
            return UPSTREAM_CHOSEN;
        }
        left &= ~(UINT64_C(1) << i);
    }
    return UPSTREAM_NONE;
}

enum upstream_choice upstream_choose(struct upstream *upstream, const struct addr *client, uint64_t tried,
                                     uint32_t *server)
{
    int64_t now_ms = loop_now_ms(upstream->loop);
    struct survey survey = look_around(upstream, tried, now_ms);
    enum balance how = upstream->config->balance;
    uint64_t source = how == BALANCE_SOURCE_HASH ? balance_source(client) : 0;
    enum upstream_choice choice = choose_among(upstream, survey.primary, survey.full, source, now_ms, server);
    if (choice == UPSTREAM_NONE) choice = choose_among(upstream, survey.backup, survey.full, source, now_ms, server);
    if (choice != UPSTREAM_NONE || survey.ejected == 0) return choice;
    /* All that is left is ejected.  It costs little to try, and a server that is back is found at once. */
    if ((survey.ejected & ~survey.full) == 0) return UPSTREAM_FULL;
    *server = take(upstream, balance_choose(how, upstream->balance, survey.ejected & ~survey.full, source));
    return UPSTREAM_CHOSEN;
}

void upstream_release(struct upstream *upstream, uint32_t server)
{
    struct upstream_cell *cell = &upstream->cells[server];
    uint32_t n = atomic_load_explicit(&cell->connections, memory_order_relaxed);
    CHECK(n > 0);
    atomic_store_explicit(&cell->connections, n - 1, memory_order_relaxed);
    if (!list_empty(&upstream->waiting)) loop_defer(upstream->loop, &upstream->wake);
}

static void log_server(enum log_level level, const char *event, const struct upstream *upstream, uint32_t server,
                       int64_t out_ms)
{
    struct log_line line;
    log_begin(&line, level, event);
    log_str(&line, "upstream", upstream->config->name);
    log_str(&line, "server", upstream->config->servers[server].name);
    if (out_ms != 0) log_int(&line, "for_ms", out_ms);
    log_end(&line);
}

bool upstream_worked(struct upstream *upstream, uint32_t server)
{
    if (!ejection_worked(&upstream->servers[server].ejection)) return false;
    log_server(LOG_LEVEL_INFO, "server_back", upstream, server, 0);
    return true;
}

bool upstream_failed(struct upstream *upstream, uint32_t server)
{
    atomic_fetch_add_explicit(&upstream->cells[server].failures, 1, memory_order_relaxed);
    int64_t out_ms =
        ejection_failed(&upstream->servers[server].ejection, &upstream->config->ejection, loop_now_ms(upstream->loop));
    if (out_ms == 0) return false;
    log_server(LOG_LEVEL_WARN, "server_ejected", upstream, server, out_ms);
    return true;
}
