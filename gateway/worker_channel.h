/* worker_channel - what a worker is told by the master, and tells it. */
#ifndef POSTERN_GATEWAY_WORKER_CHANNEL_H
#define POSTERN_GATEWAY_WORKER_CHANNEL_H

#include "lib/check.h"

struct channel;
struct worker;

/* worker_channel_open - listen to the master on fd (taken). */
struct channel *worker_channel_open(struct worker *worker, int fd);

/* worker_channel_ready - tell that connections are accepted.  Returns 0, or -1: there is no master any more. */
MUSTCHECK int worker_channel_ready(struct worker *worker);

#endif
