/* server - the backend's process from its privileges to its end. */
#ifndef POSTERN_BACKEND_SERVER_H
#define POSTERN_BACKEND_SERVER_H

#include "backend/backend_config.h"
#include "backend/host.h"

/* server_run - serve until SIGTERM or SIGINT.  Takes hosts, which have their certificates.  Returns the exit status;
 * what keeps it from starting is said on stderr. */
int server_run(struct hosts **hosts);

/* server_run_once - no listeners, sockets or certificates: serve control commands on descriptor fd (taken) until the
 * peer has closed. */
int server_run_once(struct hosts **hosts, int fd);

#endif
