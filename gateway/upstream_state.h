/* upstream_state - what master and workers know of the servers, in memory that they share.
 *
 * The master makes it before it forks.  It writes health, addresses and what the administrator wants; workers write
 * ejections, and what each has open in cells of its own, which are zeroed when it dies. */
#ifndef POSTERN_GATEWAY_UPSTREAM_STATE_H
#define POSTERN_GATEWAY_UPSTREAM_STATE_H

#include "gateway/ejection.h"
#include "gateway/upstream_config.h"
#include "lib/addr.h"
#include "lib/check.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the administrator wants of a server. */
enum upstream_admin {
    UPSTREAM_READY,
    UPSTREAM_DRAIN,       /* no new connections; those that are open go on */
    UPSTREAM_MAINTENANCE, /* as drain, and it is not checked */
    UPSTREAM_ADMIN_COUNT
};

/* The address of a server that is a name, read and written as a whole.  version is odd while it is being written. */
struct upstream_address {
    _Atomic uint32_t version;
    _Atomic uint32_t known; /* 0: not resolved yet */
    _Atomic uint64_t words[4];
};

/* One server.  Workers read the first line of memory for every connection; it changes rarely. */
struct upstream_server {
    alignas(64) _Atomic uint8_t admin; /* enum upstream_admin */
    _Atomic bool down;                 /* say the checks */
    _Atomic int32_t weight;            /* -1: that of the configuration; 0: no new connections */
    struct upstream_address address;
    alignas(64) struct ejection ejection;
    _Atomic uint64_t earlier_total, earlier_failures; /* of generations before this one */
};

/* What one worker has of one server. */
struct upstream_cell {
    _Atomic uint32_t connections; /* connecting and open */
    _Atomic uint32_t failures;    /* connections that could not be made */
    _Atomic uint64_t total;       /* connections begun */
};

struct upstream_state;

/* upstream_state_new - for these upstreams (borrowed for its life) and so many workers. */
struct upstream_state *upstream_state_new(const struct upstream_config *upstreams, size_t count, size_t workers);

/* upstream_state_free - give up this process's view of it; others keep theirs. */
void upstream_state_free(struct upstream_state **state);

/* The servers of an upstream, and a worker's cells for them, as in its configuration. */
struct upstream_server *upstream_state_servers(const struct upstream_state *state, size_t upstream);
struct upstream_cell *upstream_state_cells(const struct upstream_state *state, size_t worker, size_t upstream);

/* upstream_state_waiting - how many connections of a worker wait for a server of the upstream; only that worker
 * writes it. */
_Atomic uint32_t *upstream_state_waiting(const struct upstream_state *state, size_t worker, size_t upstream);

/* The same over all workers: connections of a server, of all servers of an upstream, and those that wait. */
uint32_t upstream_state_connections(const struct upstream_state *state, size_t upstream, size_t server);
uint32_t upstream_state_all_connections(const struct upstream_state *state, size_t upstream);
uint32_t upstream_state_all_waiting(const struct upstream_state *state, size_t upstream);

/* upstream_state_totals - over all workers, and the generations before them. */
struct upstream_totals {
    uint64_t begun, failed; /* connections */
};
struct upstream_totals upstream_state_totals(const struct upstream_state *state, size_t upstream, size_t server);

/* upstream_state_bury - for the master: a worker is dead, and has nothing open any more. */
void upstream_state_bury(struct upstream_state *state, size_t worker);

/* upstream_state_index - the place of an upstream by its title, or -1; upstream_state_server_index - the place of its
 * server by its name (the text without parameters), or -1. */
int upstream_state_index(const struct upstream_state *state, const char *title);
int upstream_state_server_index(const struct upstream_state *state, size_t upstream, const char *name);
size_t upstream_state_count(const struct upstream_state *state);
const struct upstream_config *upstream_state_config(const struct upstream_state *state, size_t upstream);

/* upstream_state_weight - the weight in force. */
uint32_t upstream_state_weight(const struct upstream_server *server, const struct server_text *config);

/* upstream_address_set - for the master, the only writer.  upstream_address_get - false: not known yet. */
void upstream_address_set(struct upstream_address *address, const struct addr *to);
MUSTCHECK bool upstream_address_get(const struct upstream_address *address, struct addr *out);

#endif
