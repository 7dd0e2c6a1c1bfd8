/* action_refuse - ends a connection because a route says so. */
#ifndef POSTERN_GATEWAY_ACTION_REFUSE_H
#define POSTERN_GATEWAY_ACTION_REFUSE_H

#include "gateway/conn.h"

/* action_refuse_start - in order or by a reset, as the route's "refuse" says. */
enum conn_state action_refuse_start(struct conn *conn, const struct sight *sight);

#endif
