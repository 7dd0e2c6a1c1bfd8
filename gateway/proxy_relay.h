/* proxy_relay - moves the bytes of a proxied connection both ways until both have ended. */
#ifndef POSTERN_GATEWAY_PROXY_RELAY_H
#define POSTERN_GATEWAY_PROXY_RELAY_H

#include "gateway/conn.h"

/* The steps of CONN_RELAY and CONN_HALF_CLOSED. */
enum conn_state proxy_relay_step(struct conn *conn, unsigned wake);
enum conn_state proxy_relay_step_half_closed(struct conn *conn, unsigned wake);

#endif
