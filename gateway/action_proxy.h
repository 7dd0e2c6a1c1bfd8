/* action_proxy - connects to a server of an upstream. */
#ifndef POSTERN_GATEWAY_ACTION_PROXY_H
#define POSTERN_GATEWAY_ACTION_PROXY_H

#include "gateway/conn.h"

/* action_proxy_start - begin with the first server. */
enum conn_state action_proxy_start(struct conn *conn, const struct sight *sight);

/* action_proxy_step_connect - the step of CONN_CONNECT. */
enum conn_state action_proxy_step_connect(struct conn *conn, unsigned wake);

#endif
