/* worker - one worker process: its loop, and what its connections share. */
#ifndef POSTERN_GATEWAY_WORKER_H
#define POSTERN_GATEWAY_WORKER_H

#include "gateway/close_reason.h"
#include "gateway/gateway_config.h"
#include "gateway/limits.h"
#include "gateway/probing.h"
#include "gateway/relay.h"
#include "lib/counter.h"
#include "lib/loop.h"
#include "lib/poller.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct channel;
struct intake;
struct handoff;
struct listener_set;
struct tls_service;
struct tls_tickets;
struct upstream;
struct upstream_state;

struct worker {
    unsigned magic;
    size_t index;
    struct gateway_config *config;
    struct loop *loop;
    struct poller *poller;       /* of the connections' sockets */
    struct counters *counters;   /* all of them; borrowed */
    counter_cell *totals;        /* of the whole gateway */
    counter_cell **route_totals; /* by route index */
    struct channel *channel;     /* to the master */
    struct event *drain_timer;
    bool draining;
    struct intake *intakes; /* one for each listening socket */
    size_t intake_count;
    struct list conns;
    size_t conn_count;
    struct limits limits;
    struct probing probing;
    uint64_t next_id;
    uint8_t *peek_buffer; /* peek-limit bytes */
    struct relay_shared relay;
    struct deadline_queue *peek_queue, *nap_queue, *handshake_queue, *idle_queue, *half_closed_queue;
    struct upstream *upstreams; /* as in config */
    const struct upstream_state *upstream_state;
    struct handoff *handoffs; /* one for each backend in config */
    struct tls_service **tls; /* one for each tls section in config */
};

/* What a worker is started with. */
struct worker_start {
    size_t index;
    struct gateway_config *config;
    struct counters *counters; /* every block was made before */
    struct upstream_state *upstreams;
    struct listener_set *listeners;
    struct source_table *sources;
    int source_region; /* of this worker in sources */
    int channel;       /* taken */
    struct tls_tickets *tickets;
};

/* worker_main - run a worker in this process until it has ended.  Returns its exit status. */
int worker_main(const struct worker_start *start);

/* worker_conn_came, worker_conn_gone - for conn: one connection more, or less; a draining worker ends with the last. */
void worker_conn_came(struct worker *worker);
void worker_conn_gone(struct worker *worker);

/* Who takes the connections that still wait at a socket when its worker stops accepting. */
typedef bool worker_empties_fn(uint64_t socket, const void *arg);

/* worker_drain - stop accepting, after taking who waits at the sockets that empties names; end when the last
 * connection has, or after timeout_ms (negative: whenever that is).  Draining already, only the time changes. */
void worker_drain(struct worker *worker, int64_t timeout_ms, worker_empties_fn *empties, const void *arg);

/* worker_end - close every connection and end. */
void worker_end(struct worker *worker);

#endif
