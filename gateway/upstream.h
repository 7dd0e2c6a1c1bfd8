/* upstream - the servers of an "upstream" section, as a worker uses them. */
#ifndef POSTERN_GATEWAY_UPSTREAM_H
#define POSTERN_GATEWAY_UPSTREAM_H

#include "gateway/gateway_config.h"
#include "lib/loop.h"

struct upstream {
    const struct upstream_config *config;
    struct deadline_queue *connect_queue; /* of connect-timeout */
};

enum upstream_connect {
    UPSTREAM_CONNECTED,
    UPSTREAM_CONNECTING, /* the socket becomes writable when it is decided; ask upstream_connect_result */
    UPSTREAM_BUSY,       /* a Unix socket whose queue is full; nothing will tell when there is room: ask again */
    UPSTREAM_FAILED,     /* errno says why */
};

/* upstream_connect - begin to connect to a server.  *fd is the caller's if it is connected or connecting. */
MUSTCHECK enum upstream_connect upstream_connect(const struct upstream *upstream, size_t server, int *fd);

/* upstream_connect_result - 0 once connected, else the error's number. */
MUSTCHECK int upstream_connect_result(int fd);

#endif
