/* remote_start - what waited for other servers when this one ended is delivered. */
#ifndef POSTERN_BACKEND_REMOTE_START_H
#define POSTERN_BACKEND_REMOTE_START_H

struct backend;

/* remote_start - learn from the store for whom there are rows, and have each tried within some seconds, not all at
 * once.  Before the shards' threads run; runs shard 0's loop until the store has answered. */
void remote_start(struct backend *backend);

#endif
