/* upstream_report - the servers as the administrator sees and sets them: for the control socket, metrics and reload. */
#ifndef POSTERN_GATEWAY_UPSTREAM_REPORT_H
#define POSTERN_GATEWAY_UPSTREAM_REPORT_H

#include "gateway/upstream_state.h"
#include "lib/check.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* upstream_report - all there is to know; the caller's.
 *   [{"upstream": TITLE, "balance": "round-robin", "connections", "max_connections", "waiting", "queue", "servers":
 *     [{"server": NAME, "state": "up" | "down" | "ejected" | "unresolved", "admin": "ready" | "drain" | "maintenance",
 *       "weight", "weight_configured", "backup": bool, "address": "192.0.2.1:443" (of a name that is resolved),
 *       "connections", "max_connections", "total", "failures", "ejected_for_ms" (while it is), "weight_set": true (by
 *       the administrator)}, …]}, …]
 * connections are those open now, total those begun and failures those that could not be made, ever. */
MUSTCHECK json_t *upstream_report(const struct upstream_state *state);

/* upstream_report_restore - take over, into a state that no worker has yet, what a report says of those upstreams and
 * servers that are still there, by title and name: what the administrator set, health, ejections, addresses, sums.
 * What does not look like a report is left out. */
void upstream_report_restore(struct upstream_state *state, const json_t *report);

/* upstream_report_set_admin - "ready", "drain" or "maintenance" for a server.  upstream_report_set_weight - 0 (no new
 * connections) to BALANCE_WEIGHT_MAX, or -1 for that of the configuration.  Both return 0, or -1 and in why what was
 * expected; a change is logged. */
MUSTCHECK int upstream_report_set_admin(struct upstream_state *state, const char *upstream, const char *server,
                                        const char *admin, char *why, size_t cap);
MUSTCHECK int upstream_report_set_weight(struct upstream_state *state, const char *upstream, const char *server,
                                         int64_t weight, char *why, size_t cap);

#endif
