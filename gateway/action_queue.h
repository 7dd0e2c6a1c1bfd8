/* action_queue - connections that wait until a server of their upstream has a place for them.
 *
 * A worker serves its own in the order in which they came: when one of its connections ends, and, because other workers
 * give places back, too, some times a second. */
#ifndef POSTERN_GATEWAY_ACTION_QUEUE_H
#define POSTERN_GATEWAY_ACTION_QUEUE_H

#include "gateway/conn.h"
#include "gateway/upstream.h"

/* For upstream_init and upstream_close. */
void action_queue_init(struct upstream *upstream);
void action_queue_close(struct upstream *upstream);

/* action_queue_start - wait in conn->upstream's queue, or end if that is full. */
enum conn_state action_queue_start(struct conn *conn);

/* action_queue_step - the step of CONN_QUEUE. */
enum conn_state action_queue_step(struct conn *conn, unsigned wake);

/* action_queue_leave - for the driver: a connection that may be in a queue ends. */
void action_queue_leave(struct conn *conn);

#endif
