/* action_proxy - connects to a server of an upstream, then moves bytes both ways. */
#ifndef POSTERN_GATEWAY_ACTION_PROXY_H
#define POSTERN_GATEWAY_ACTION_PROXY_H

#include "gateway/conn.h"

/* action_proxy_start - begin with the first server. */
enum conn_state action_proxy_start(struct conn *conn, const struct sight *sight);

/* The steps of CONN_CONNECT, CONN_RELAY and CONN_HALF_CLOSED. */
enum conn_state action_proxy_step_connect(struct conn *conn, unsigned wake);
enum conn_state action_proxy_step_relay(struct conn *conn, unsigned wake);
enum conn_state action_proxy_step_half_closed(struct conn *conn, unsigned wake);

#endif
