/* host_swap - every shard goes over to other hosts, and to the configuration that they are of. */
#ifndef POSTERN_BACKEND_HOST_SWAP_H
#define POSTERN_BACKEND_HOST_SWAP_H

#include "lib/mailbox.h"

struct backend;
struct hosts;

/* host_swap - the streams of each shard go over with it; those of a host that is gone are ended, and sessions that wait
 * to be resumed there as well.  Then done(arg) on shard 0.  From shard 0, and not again before done. */
void host_swap(struct backend *backend, struct hosts *hosts, mailbox_fn *done, void *arg);

#endif
