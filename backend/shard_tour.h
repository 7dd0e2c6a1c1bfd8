/* shard_tour - ask every shard, one after the other. */
#ifndef POSTERN_BACKEND_SHARD_TOUR_H
#define POSTERN_BACKEND_SHARD_TOUR_H

#include "lib/mailbox.h"

struct backend;
struct shard;

typedef void shard_tour_fn(struct shard *shard, void *arg);

/* shard_tour - call visit(shard, arg) on each shard's own thread, never two at a time, then done(arg) in the mailbox
 * back_to.  Any thread. */
void shard_tour(struct backend *backend, shard_tour_fn *visit, struct mailbox *back_to, mailbox_fn *done, void *arg);

#endif
