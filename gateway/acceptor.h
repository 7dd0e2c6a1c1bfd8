/* acceptor - accepts connections from one listening socket in a worker. */
#ifndef POSTERN_GATEWAY_ACCEPTOR_H
#define POSTERN_GATEWAY_ACCEPTOR_H

#include "gateway/listener.h"

struct event;
struct worker;

struct acceptor {
    struct worker *worker;
    struct listener_socket *socket;
    struct event *event;
    struct event *resume; /* timer: after a fault */
};

/* acceptor_start - begin to accept.  The socket stays the listener set's. */
void acceptor_start(struct acceptor *acceptor, struct worker *worker, struct listener_socket *socket);

/* acceptor_stop - take the connections that wait already, then close the socket in this process. */
void acceptor_stop(struct acceptor *acceptor);

#endif
