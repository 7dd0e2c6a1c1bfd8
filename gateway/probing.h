/* probing - bounds what connections that wait to be decided may take of a worker.
 *
 * Their bytes wait in the kernel.  When there are too many connections, or too many bytes, the oldest are decided with
 * what they have sent, as if their time were over: an honest client has sent all within a round trip or two, so it is
 * those who make the gateway wait that lose their time. */
#ifndef POSTERN_GATEWAY_PROBING_H
#define POSTERN_GATEWAY_PROBING_H

#include "lib/list.h"
#include "lib/loop.h"

#include <stddef.h>
#include <stdint.h>

struct conn;
struct worker;

/* A worker's. */
struct probing {
    struct list silent;  /* without a byte, by conn->wait; the oldest is first */
    struct list holding; /* with bytes, likewise */
    size_t count;
    size_t bytes; /* sum of conn->seen */
    struct loop_deferred relief;
};

void probing_open(struct worker *worker);
void probing_close(struct worker *worker);

/* probing_wait - a connection waits, of which so many bytes were seen (conn->seen).  probing_leave - it is decided or
 * over; harmless when it did not wait. */
void probing_wait(struct conn *conn, size_t seen);
void probing_leave(struct conn *conn);

#endif
