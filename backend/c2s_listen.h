/* c2s_listen - our own listeners, for clients that do not come through the gateway. */
#ifndef POSTERN_BACKEND_C2S_LISTEN_H
#define POSTERN_BACKEND_C2S_LISTEN_H

#include "lib/check.h"

#include <stddef.h>

struct backend;
struct option_file;
struct c2s_listen;

/* c2s_listen_open - bind and listen as configured, while we may still be root.  NULL and a message in why. */
MUSTCHECK struct c2s_listen *c2s_listen_open(const struct option_file *file, char *why, size_t cap);

/* c2s_listen_start - accept, on shard 0. */
void c2s_listen_start(struct c2s_listen *listeners, struct backend *backend);
void c2s_listen_free(struct c2s_listen **listeners);

#endif
