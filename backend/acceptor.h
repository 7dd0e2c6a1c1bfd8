/* acceptor - our own listeners, for clients that do not come through the gateway. */
#ifndef POSTERN_BACKEND_ACCEPTOR_H
#define POSTERN_BACKEND_ACCEPTOR_H

#include "lib/check.h"

#include <stddef.h>

struct backend;
struct option_file;
struct acceptors;

/* acceptors_open - bind and listen as configured, while we may still be root.  NULL and a message in why. */
MUSTCHECK struct acceptors *acceptors_open(const struct option_file *file, char *why, size_t cap);

/* acceptors_start - accept, on shard 0. */
void acceptors_start(struct acceptors *acceptors, struct backend *backend);
void acceptors_free(struct acceptors **acceptors);

#endif
