/* action_handoff - passes the accepted socket itself to a backend.
 *
 * A worker has one SOCK_SEQPACKET connection to each backend's inlet, made when it is first needed.  The message is a
 * PROXY protocol v2 header with what was seen of the ClientHello; the socket goes with it. */
#ifndef POSTERN_GATEWAY_ACTION_HANDOFF_H
#define POSTERN_GATEWAY_ACTION_HANDOFF_H

#include "gateway/conn.h"
#include "gateway/gateway_config.h"

/* The way to one backend. */
struct handoff {
    const struct handoff_config *config;
    struct loop *loop;
    struct deadline_queue *queue; /* of handoff-timeout */
    int fd;                       /* to the inlet; -1: not connected */
    short watched;                /* what event waits for; 0: nothing, and there is no event */
    struct event *event;
    struct event *retry; /* timer: look again whether the backend is there */
    struct list waiting; /* connections in CONN_HANDOFF_WAIT, first come first served */
};

void action_handoff_init(struct handoff *handoff, const struct handoff_config *config, struct loop *loop,
                         struct deadline_queue *queue);
void action_handoff_close(struct handoff *handoff);

/* action_handoff_start - hand over at once if the backend is ready, else wait. */
enum conn_state action_handoff_start(struct conn *conn, const struct sight *sight);

/* action_handoff_step - the step of CONN_HANDOFF_WAIT. */
enum conn_state action_handoff_step(struct conn *conn, unsigned wake);

#endif
