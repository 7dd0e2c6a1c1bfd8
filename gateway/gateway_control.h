/* gateway_control - the commands of the master's control socket. */
#ifndef POSTERN_GATEWAY_GATEWAY_CONTROL_H
#define POSTERN_GATEWAY_GATEWAY_CONTROL_H

#include "lib/check.h"

#include <stddef.h>

struct control;
struct master;

/* gateway_control_open - serve these commands on a Unix socket.  NULL and a message in why.
 *   stats:  {"": {"accepted": 3, …}, "ROUTE": {…}, …}: every counter, of the whole gateway under "" and of each route.
 *   connections {filter: {name: text}, limit}: {"matched", "silent_workers", "connections": [as conn_list.h]}
 *   kill {id}, log-level {level}: null
 *   upstreams: as upstream_report.h; server {upstream, server, admin or weight}: null
 *   explain {listener, source, destination, inside, sni, alpn, tls-version, hex, silent}, as --explain has them:
 *            {"found", "text"}
 *   status: {"version", "pid", "uptime_s", "ready", "stopping", "generation",
 *            "reload": {"running", "error": of the last one or null},
 *            "workers": [{"pid", "ready", "deaths"}, …], "retired": [pid, …]}
 *   reload: null when the new configuration serves, or the error that kept the old one
 *   drain:  null
 *   upgrade: null when the new program has passed its check and takes over
 *   wait:   as reload, of the one that is under way or was the last */
MUSTCHECK struct control *gateway_control_open(struct master *master, const char *path, char *why, size_t cap);
/* gateway_control_adopt - the same on fd (taken), which the program before this one handed over. */
struct control *gateway_control_adopt(struct master *master, int fd, const char *path);
void gateway_control_close(struct control **control);

#endif
