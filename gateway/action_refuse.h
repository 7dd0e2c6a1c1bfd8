/* action_refuse - ends a connection because a route says so, with the words that the route chose if they fit.
 *
 * Closing a socket with unread bytes makes the kernel send a reset, which can destroy an answer on its way.  So the
 * answer is sent and ended, and then what the client still sends is dropped until it ends, too, or the time is over. */
#ifndef POSTERN_GATEWAY_ACTION_REFUSE_H
#define POSTERN_GATEWAY_ACTION_REFUSE_H

#include "gateway/conn.h"

#include <stdbool.h>

/* action_refuse_waits - whether more bytes are needed to choose the route's words; never when the sight is final. */
MUSTCHECK bool action_refuse_waits(const struct route *route, struct sight *sight);

/* action_refuse_start - begin as the route's "refuse" says; nothing waits for more bytes. */
enum conn_state action_refuse_start(struct conn *conn, const struct sight *sight);

/* action_refuse_linger - all is said and sent: end our direction, and close for this reason once the client has ended
 * or the time is over. */
enum conn_state action_refuse_linger(struct conn *conn, enum close_reason reason);

/* action_refuse_step - the step of CONN_REFUSE. */
enum conn_state action_refuse_step(struct conn *conn, unsigned wake);

#endif
