/* peek - looks at a connection's first bytes without consuming them, until a route is found. */
#ifndef POSTERN_GATEWAY_PEEK_H
#define POSTERN_GATEWAY_PEEK_H

#include "gateway/conn.h"

/* What one look at a socket tells. */
enum peek_look {
    PEEK_GREW,  /* more bytes than before */
    PEEK_SAME,  /* no more than before, and more may come: nothing now, or the kernel is short of memory */
    PEEK_ENDED, /* no more than before, and none will come: end of file, or an urgent byte hides what follows */
    PEEK_BROKEN /* the connection failed */
};

/* peek_look - peek into buffer (cap bytes); *len gets the bytes there, of which seen had been there at the last look.
 * Never consumes.  A wake-up without growth is told apart: MSG_PEEK reports no end of file while bytes remain. */
MUSTCHECK enum peek_look peek_look(int fd, void *buffer, size_t cap, size_t seen, size_t *len);

/* peek_wait_beyond - become readable only when there are more than seen bytes, an end or an error (SO_RCVLOWAT): a
 * level-triggered loop would spin otherwise.  0 sets the socket back to normal. */
void peek_wait_beyond(int fd, size_t seen);

/* peek_wait - the first seen bytes do not suffice: wait for more, at once or, for who drips, with pauses. */
void peek_wait(struct conn *conn, size_t seen);

/* peek_again - nothing new is there after a wake-up, of the len bytes: wait on. */
void peek_again(struct conn *conn, unsigned wake, size_t len);

/* peek_route - ask the routes.  ROUTE_FOUND: conn->route is set, and peek_act comes next; ROUTE_NONE: peek_no_route;
 * ROUTE_MORE: more bytes are needed, never when sight->final. */
MUSTCHECK enum route_verdict peek_route(struct conn *conn, struct sight *sight, const struct route_query *query);

/* peek_act - begin what the route says.  peek_no_route - end the connection, which no route is for. */
enum conn_state peek_act(struct conn *conn, const struct sight *sight);
enum conn_state peek_no_route(struct conn *conn, const struct sight *sight);

/* peek_step - the step of CONN_PEEK. */
enum conn_state peek_step(struct conn *conn, unsigned wake);

#endif
