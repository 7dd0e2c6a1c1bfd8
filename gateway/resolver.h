/* resolver - asks the system for the addresses of host names, in a process of its own.
 *
 * getaddrinfo(3) blocks, and parses what strangers sent: both are kept out of the master.  The process is started when
 * first needed, runs as the workers' user without privileges, and answers one question after the other. */
#ifndef POSTERN_GATEWAY_RESOLVER_H
#define POSTERN_GATEWAY_RESOLVER_H

#include "lib/addr.h"
#include "lib/check.h"
#include "lib/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RESOLVER_ADDRESSES_MAX = 16, RESOLVER_HOST_BYTES = 256 };

struct resolver;

/* resolver_fn - the answer to the question with this id: addresses without ports in the system's order of preference,
 * at least one; or none, and error (static text) says why. */
typedef void resolver_fn(void *arg, uint32_t id, const struct addr *addresses, size_t count, const char *error);

/* resolver_new - user and group as for proc_drop_privileges, borrowed. */
struct resolver *resolver_new(struct loop *loop, const char *user, const char *group, resolver_fn *fn, void *arg);

/* resolver_free - in a child of the process that made it, only this process's share is given up. */
void resolver_free(struct resolver **resolver);

/* resolver_ask - ask for a host (shorter than RESOLVER_HOST_BYTES).  False: it cannot be asked now; try again later. */
MUSTCHECK bool resolver_ask(struct resolver *resolver, uint32_t id, const char *host);

/* resolver_wait - handle the next answer without the loop, waiting at most timeout_ms.  False: none came. */
MUSTCHECK bool resolver_wait(struct resolver *resolver, int64_t timeout_ms);

#endif
