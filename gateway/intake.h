/* intake - accepts connections from one listening socket in a worker. */
#ifndef POSTERN_GATEWAY_INTAKE_H
#define POSTERN_GATEWAY_INTAKE_H

#include "gateway/listener_pool.h"
#include "lib/addr.h"

#include <stdbool.h>

struct event;
struct worker;

struct intake {
    struct worker *worker;
    struct listener_socket *socket;
    struct event *event;
    struct event *resume; /* timer: after a fault */
    struct addr local;    /* of every connection; unknown: it differs */
};

/* intake_start - begin to accept.  The socket stays the listener set's. */
void intake_start(struct intake *intake, struct worker *worker, struct listener_socket *socket);

/* intake_stop - close the socket in this process.  empty: take the connections that wait there before, for nobody else
 * will. */
void intake_stop(struct intake *intake, bool empty);

#endif
