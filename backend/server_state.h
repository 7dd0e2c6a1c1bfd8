/* server_state - what the server keeps in its state folder besides the store: the folder itself, the lock, a secret. */
#ifndef POSTERN_BACKEND_SERVER_STATE_H
#define POSTERN_BACKEND_SERVER_STATE_H

#include "backend/backend.h"

#include <stddef.h>

/* server_state_make_folders - make missing ones for user, while we may still be root: the state folder (0700) and, if
 * wanted, the one for sockets (0755).  Returns 0, or -1 and a message. */
MUSTCHECK int server_state_make_folders(const struct backend_config *config, bool run_dir, char *why, size_t cap);

/* server_state_take - check that the folder is private, take its lock for the life of the process, read the secret (or
 * make it, on first start).  Returns 0, or -1 and a message. */
MUSTCHECK int server_state_take(struct backend *backend, char *why, size_t cap);

#endif
