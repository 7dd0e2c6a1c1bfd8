/* inlet - takes over accepted sockets from gateways, through a Unix socket.
 *
 * Each message is a PROXY protocol v2 header with one descriptor: the client's addresses, and the id under which the
 * gateway has logged it (PP2_TLV_UNIQUE_ID), come from the header and from nowhere else. */
#ifndef POSTERN_BACKEND_INLET_H
#define POSTERN_BACKEND_INLET_H

#include "lib/check.h"

#include <stddef.h>

struct backend;
struct backend_config;
struct inlet;

/* inlet_open - listen at run-dir/inlet.sock, while we may still be root.  The file belongs to user; it is open to the
 * gateway-user's group if that is set, else to nobody.  A stale file is replaced, a live one not.  NULL and a message
 * in why. */
MUSTCHECK struct inlet *inlet_open(const struct backend_config *config, char *why, size_t cap);

/* inlet_start - take sockets, on shard 0. */
void inlet_start(struct inlet *inlet, struct backend *backend);

/* inlet_free - also removes the file. */
void inlet_free(struct inlet **inlet);

#endif
