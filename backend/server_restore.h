/* server_restore - the way back: a copy of the store becomes the store, while no server runs. */
#ifndef POSTERN_BACKEND_SERVER_RESTORE_H
#define POSTERN_BACKEND_SERVER_RESTORE_H

#include "backend/backend_config.h"

/* server_restore - take the state folder as a server would (its user, its lock), and put the copy that fd reads (taken)
 * in the store's place.  The name under which the old store is kept goes to standard output, a line; what is wrong to
 * stderr.  Returns the exit status. */
int server_restore(const struct backend_config *config, int fd);

#endif
