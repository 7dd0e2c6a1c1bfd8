/* action_handoff - passes the accepted socket itself to a backend.
 *
 * The message that goes with it is a PROXY protocol v2 header with what was seen of the ClientHello.  Several inlets
 * are tried in the order that balance says, until one takes the socket.  If none does within handoff-timeout, the
 * fallback's servers get the connection, proxied. */
#ifndef POSTERN_GATEWAY_ACTION_HANDOFF_H
#define POSTERN_GATEWAY_ACTION_HANDOFF_H

#include "gateway/conn.h"
#include "gateway/gateway_config.h"

struct inlet_link;

/* The way to the backends of one section. */
struct handoff {
    const struct handoff_config *config;
    struct deadline_queue *queue; /* of handoff-timeout */
    struct inlet_link *links;     /* as the inlets of config */
    struct balance_server *balance;
    struct upstream *fallback; /* NULL: none */
    bool missed;               /* one has waited in vain, and nothing was handed over since */
    struct event *retry;       /* timer: look again whether a backend is there */
    struct list waiting;       /* connections in CONN_HANDOFF_WAIT, first come first served */
};

void action_handoff_init(struct handoff *handoff, const struct handoff_config *config, struct loop *loop,
                         struct deadline_queue *queue, struct upstream *fallback);
void action_handoff_close(struct handoff *handoff);

/* action_handoff_start - hand over at once if a backend is ready, else wait. */
enum conn_state action_handoff_start(struct conn *conn, const struct sight *sight);

/* action_handoff_step - the step of CONN_HANDOFF_WAIT. */
enum conn_state action_handoff_step(struct conn *conn, unsigned wake);

#endif
