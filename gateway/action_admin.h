/* action_admin - answers who asks a listener with "serve = admin" over HTTP: /metrics and /health.
 *
 * One request for each connection: what is asked is peeked like anything else, and answered like a refusal. */
#ifndef POSTERN_GATEWAY_ACTION_ADMIN_H
#define POSTERN_GATEWAY_ACTION_ADMIN_H

#include "gateway/conn.h"

/* action_admin_step - the step of CONN_ADMIN, in which the request is waited for. */
enum conn_state action_admin_step(struct conn *conn, unsigned wake);

#endif
