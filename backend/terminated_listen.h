/* terminated_listen - takes streams over whose TLS a gateway has terminated, through a Unix socket.
 *
 * Each connection begins with a PROXY protocol v2 header; what follows it is the client's XML in clear.  The client's
 * address, the server name and everything about TLS come from the header: see terminated.  The same header is worth
 * nothing anywhere else. */
#ifndef POSTERN_BACKEND_TERMINATED_LISTEN_H
#define POSTERN_BACKEND_TERMINATED_LISTEN_H

#include "lib/check.h"

#include <stddef.h>

struct backend;
struct backend_config;
struct terminated_listen;

/* terminated_listen_open - listen at run-dir/terminated.sock, as gateway_socket_open. */
MUSTCHECK struct terminated_listen *terminated_listen_open(const struct backend_config *config, char *why, size_t cap);

/* terminated_listen_start - take streams, on shard 0. */
void terminated_listen_start(struct terminated_listen *listen, struct backend *backend);

/* terminated_listen_free - also removes the file, and closes what waits for its header. */
void terminated_listen_free(struct terminated_listen **listen);

#endif
