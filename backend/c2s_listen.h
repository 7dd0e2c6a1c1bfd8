/* c2s_listen - our own listeners, for those who do not come through the gateway: clients, components, other servers,
 * and who watches. */
#ifndef POSTERN_BACKEND_C2S_LISTEN_H
#define POSTERN_BACKEND_C2S_LISTEN_H

#include "lib/check.h"

#include <stddef.h>

struct backend;
struct option_file;
struct c2s_listen;

/* c2s_listen_open - bind and listen as configured, while we may still be root.  NULL and a message in why. */
MUSTCHECK struct c2s_listen *c2s_listen_open(const struct option_file *file, char *why, size_t cap);

/* c2s_listen_check - whether the listeners of another configuration can be had without a restart: new addresses need
 * one.  Returns 0, or -1 and a message with file and line. */
MUSTCHECK int c2s_listen_check(const struct c2s_listen *listeners, const struct option_file *file, char *error,
                               size_t cap);

/* c2s_listen_change - go over to that configuration: an address that it does not name is closed.  Connections are not
 * touched. */
void c2s_listen_change(struct c2s_listen *listeners, const struct option_file *file);

/* c2s_listen_start - accept, on shard 0. */
void c2s_listen_start(struct c2s_listen *listeners, struct backend *backend);
void c2s_listen_free(struct c2s_listen **listeners);

#endif
