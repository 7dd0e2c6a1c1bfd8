/* port_holder - finds out which process listens on a TCP port, to explain why we cannot. */
#ifndef POSTERN_GATEWAY_PORT_HOLDER_H
#define POSTERN_GATEWAY_PORT_HOLDER_H

#include "lib/addr.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>

/* port_holder_find - write "nginx (pid 812)" for a process whose listening socket is in the way of address.  False
 * when none can be seen: other users' processes are visible to root only.  Source: proc(5), /proc/net/tcp. */
MUSTCHECK bool port_holder_find(const struct addr *address, char *out, size_t cap);

#endif
