/* listener - the listening sockets, which the master makes and the workers accept from.
 *
 * Each worker has a socket of its own for every address (SO_REUSEPORT: the kernel spreads clients over them).  The
 * master keeps them all, so a worker that is replaced loses no connection that waits to be accepted. */
#ifndef POSTERN_GATEWAY_LISTENER_H
#define POSTERN_GATEWAY_LISTENER_H

#include "gateway/gateway_config.h"
#include "lib/check.h"

#include <stddef.h>

struct listener_socket {
    const struct listener_config *config;
    int fd; /* -1: closed in this process */
};

struct listener_set {
    size_t worker_count, per_worker;
    struct listener_socket *sockets; /* those of worker w begin at w * per_worker */
};

/* listener_open_all - bind and listen on every address for every worker.  NULL and a message in why that says who
 * holds the port.  Waits up to two seconds for an address that the workers of a killed gateway still hold. */
MUSTCHECK struct listener_set *listener_open_all(const struct gateway_config *config, char *why, size_t cap);

/* listener_keep_only - close all sockets but those of one worker; SIZE_MAX: all. */
void listener_keep_only(struct listener_set *set, size_t worker);
void listener_set_free(struct listener_set **set);

#endif
