/* server_socket - the socket to a server: its address as it is now, its options, the client's address as its own. */
#ifndef POSTERN_GATEWAY_SERVER_SOCKET_H
#define POSTERN_GATEWAY_SERVER_SOCKET_H

#include "gateway/upstream.h"

enum server_socket {
    SERVER_SOCKET_CONNECTED,
    SERVER_SOCKET_CONNECTING, /* it becomes writable when that is decided; ask server_socket_result */
    SERVER_SOCKET_BUSY,       /* a Unix socket whose queue is full; nothing will tell when there is room: ask again */
    SERVER_SOCKET_FAILED,     /* errno says why */
};

/* server_socket_connect - begin to connect to a server for a client.  *fd is the caller's if it is connected or
 * connecting. */
MUSTCHECK enum server_socket server_socket_connect(const struct upstream *upstream, size_t server,
                                                   const struct addr *client, int *fd);

/* server_socket_result - 0 once connected, else the error's number. */
MUSTCHECK int server_socket_result(int fd);

#endif
