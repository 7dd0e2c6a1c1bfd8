/* upstream - the servers of an "upstream" section, as a worker chooses among them.
 *
 * A connection that was given a server holds a place there, from before it connects until it ends.  Limits hold over
 * all workers, but two workers that look at the same time may both take the last place. */
#ifndef POSTERN_GATEWAY_UPSTREAM_H
#define POSTERN_GATEWAY_UPSTREAM_H

#include "gateway/upstream_config.h"
#include "gateway/upstream_state.h"
#include "lib/loop.h"

#include <stdint.h>

struct event;

struct upstream {
    const struct upstream_config *config;
    const struct upstream_state *state;
    size_t index;                    /* among the upstreams */
    struct upstream_server *servers; /* shared */
    struct upstream_cell *cells;     /* this worker's */
    struct balance_server *balance;
    struct deadline_queue *connect_queue; /* of connect-timeout */
    /* Those that wait for a place, first come first served; see action_queue. */
    struct deadline_queue *wait_queue; /* of queue-timeout */
    struct list waiting;
    _Atomic uint32_t *waiting_count; /* shared */
    struct loop *loop;
    struct loop_deferred wake; /* a place was given back */
    struct event *look;        /* timer: the places are held by other workers, too */
};

/* No server: not chosen yet, or none is left. */
#define UPSTREAM_NO_SERVER UINT32_MAX

enum upstream_choice {
    UPSTREAM_CHOSEN,
    UPSTREAM_FULL, /* those that could be used have no place */
    UPSTREAM_NONE, /* no server can be used */
};

void upstream_init(struct upstream *upstream, const struct upstream_state *state, size_t worker, size_t index,
                   struct loop *loop);
void upstream_close(struct upstream *upstream);

/* upstream_choose - the next server for a client.  tried has the bits of those that failed it already.  Servers that
 * work come first, then backup servers, then those that are ejected.  UPSTREAM_CHOSEN: *server, where the caller holds
 * a place until upstream_release. */
MUSTCHECK enum upstream_choice upstream_choose(struct upstream *upstream, const struct addr *client, uint64_t tried,
                                               uint32_t *server);

/* upstream_release - give a place back; who waits is woken at the end of the turn. */
void upstream_release(struct upstream *upstream, uint32_t server);

/* upstream_worked, upstream_failed - tell how connecting to a server went; an ejection or its end is logged.  They
 * return whether there was one. */
bool upstream_worked(struct upstream *upstream, uint32_t server);
bool upstream_failed(struct upstream *upstream, uint32_t server);

#endif
