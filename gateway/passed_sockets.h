/* passed_sockets - the listening sockets that the service manager has opened for us (systemd's socket activation). */
#ifndef POSTERN_GATEWAY_PASSED_SOCKETS_H
#define POSTERN_GATEWAY_PASSED_SOCKETS_H

#include "lib/check.h"

#include <stddef.h>

struct gateway_config;
struct listener_pool;

/* passed_sockets_take - put what was passed into the pool, each under the configured address that it is bound to, and
 * out of the environment.  Returns 0, also when nothing was, or -1 and a message in why that names a socket for which
 * there is no listener.  Source: sd_listen_fds(3). */
MUSTCHECK int passed_sockets_take(struct listener_pool *pool, const struct gateway_config *config, char *why,
                                  size_t cap);

#endif
