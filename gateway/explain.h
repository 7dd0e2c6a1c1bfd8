/* explain - tells an administrator what the routes make of a connection, and why (postern-gateway --explain, posternctl
 * gateway explain).
 *
 * It asks route_find, as a worker does, and prints what route_trace says of each row: first for the bytes as they come,
 * and when they do not suffice once more as at peek-timeout. */
#ifndef POSTERN_GATEWAY_EXPLAIN_H
#define POSTERN_GATEWAY_EXPLAIN_H

#include "gateway/explain_input.h"
#include "gateway/gateway_config.h"

#include <stdio.h>

/* explain_run - print to out.  Returns 0 if a route was found, 1 if none, -1 and a message in error (cap bytes) when
 * the request is wrong. */
MUSTCHECK int explain_run(const struct explain_request *request, const struct gateway_config *config, FILE *out,
                          char *error, size_t cap);

#endif
