/* poller - tells which of many sockets are ready, at a small cost for each.
 *
 * libevent keeps some 180 bytes for each descriptor that it watches.  A poller keeps none: it is an epoll set of its
 * own that the loop watches as one descriptor, and what it must know of a socket lives in the socket's owner. */
#ifndef POSTERN_LIB_POLLER_H
#define POSTERN_LIB_POLLER_H

#include "lib/check.h"
#include "lib/loop.h"

#include <stdint.h>

struct poller;

/* Owners are aligned so that a tag fits beside their address: 0 to POLLER_TAG_MAX. */
enum { POLLER_TAG_MAX = 3 };

/* A socket's owner is told with its tag what the socket is ready for: EV_READ, EV_WRITE.  A socket that has ended or
 * broken is ready for both, whatever is watched.  An owner that other events of the same turn have ended is told
 * nevertheless, so its memory stays until loop_defer_free frees it, and it must know. */
typedef void poller_fn(void *owner, unsigned tag, short what);

/* poller_new - a poller that calls fn from its loop.  Never NULL.  poller_free - before its loop is freed. */
struct poller *poller_new(struct loop *loop, poller_fn *fn);
void poller_free(struct poller **poller);

/* poller_watch - from now on, tell of what (EV_READ, EV_WRITE, or 0: of nothing).  *watched is the last value for this
 * descriptor, 0 for a new one.  Closing the descriptor ends it by itself, unless another process holds the same
 * socket: then it must be ended before. */
void poller_watch(struct poller *poller, int fd, uint8_t *watched, short what, void *owner, unsigned tag);

#endif
