/* clients - counts who the clients are: what they speak, and what their ClientHellos say. */
#ifndef POSTERN_GATEWAY_CLIENTS_H
#define POSTERN_GATEWAY_CLIENTS_H

#include "gateway/conn.h"
#include "gateway/probe.h"

/* clients_count - a connection was decided on by this sight; conn->protocol, conn->seen and, if there is one,
 * conn->route are set. */
void clients_count(struct conn *conn, const struct sight *sight);

#endif
