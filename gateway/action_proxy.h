/* action_proxy - finds a server of an upstream that takes the connection; each is asked once at most. */
#ifndef POSTERN_GATEWAY_ACTION_PROXY_H
#define POSTERN_GATEWAY_ACTION_PROXY_H

#include "gateway/conn.h"

/* action_proxy_start - a server of the route's upstream is to be found. */
enum conn_state action_proxy_start(struct conn *conn, const struct sight *sight);

/* action_proxy_fall_back - a server of this upstream is to be found for a connection that no backend took;
 * conn->header is still the handoff's message. */
enum conn_state action_proxy_fall_back(struct conn *conn, struct upstream *upstream);

/* action_proxy_again - for who waits in the queue: ask for a place again. */
enum conn_state action_proxy_again(struct conn *conn);

/* action_proxy_step_connect - the step of CONN_CONNECT. */
enum conn_state action_proxy_step_connect(struct conn *conn, unsigned wake);

#endif
