/* conn - one client's connection: the table of its states, and the driver that runs them.
 *
 * A state is a row: name, step function, deadline queue.  An event calls the driver, the driver calls the step, the
 * step says what comes next.  Only the driver closes and frees, and it writes one log line for each connection. */
#ifndef POSTERN_GATEWAY_CONN_H
#define POSTERN_GATEWAY_CONN_H

#include "gateway/close_reason.h"
#include "gateway/relay.h"
#include "gateway/route.h"
#include "lib/addr.h"
#include "lib/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct worker;
struct handoff;
struct listener_config;
struct secure;
struct upstream;

enum conn_state {
    CONN_INBOUND,       /* waits for the PROXY header of a trusted peer */
    CONN_PEEK,          /* looks at the first bytes until a route is found */
    CONN_TLS_HANDSHAKE, /* the client's TLS ends here: its handshake is under way */
    CONN_TLS_INSIDE,    /* looks at the first decrypted bytes until a route is found */
    CONN_QUEUE,         /* waits for a place at a server of the upstream */
    CONN_CONNECT,       /* connects to one */
    CONN_HANDOFF_WAIT,  /* the backend was not ready for the socket */
    CONN_RELAY,         /* both directions are open */
    CONN_HALF_CLOSED,   /* one direction has ended */
    CONN_REFUSE,        /* the refusal, or another answer of our own, is on its way; reason says which */
    CONN_ADMIN,         /* waits for the request to an admin listener */
    CONN_END,           /* no step: the driver closes and frees; conn->reason says why */
    CONN_STATE_COUNT
};

/* Why a step is called; several at once are possible. */
enum conn_wake {
    CONN_WAKE_ENTER = 1,         /* the state was entered just now */
    CONN_WAKE_CLIENT_READ = 2,   /* the client's socket is readable, has ended or broken */
    CONN_WAKE_CLIENT_WRITE = 4,  /* it is writable or broken */
    CONN_WAKE_SERVER_READ = 8,   /* the same for the server's */
    CONN_WAKE_SERVER_WRITE = 16, /* likewise */
    CONN_WAKE_DEADLINE = 32,     /* the state's deadline is over */
    CONN_WAKE_RETRY = 64,        /* what the connection waited for may be there now */
};

/* One of the two sockets. */
struct conn_side {
    int fd;          /* -1: none */
    uint8_t wanted;  /* EV_READ, EV_WRITE */
    uint8_t watched; /* what the poller is told; more than wanted at times */
};

/* What only those that wait or try again need. */
struct conn_wait {
    struct list link; /* in the queue of the upstream or of the handoff, or among those not yet decided */
    struct conn *conn;
    uint64_t tried; /* bits: the upstream's servers that failed it */
};

/* Invariants: linked in worker->conns until CONN_END; in at most one deadline queue of its state, and in the nap queue
 * in CONN_INBOUND, CONN_PEEK, CONN_TLS_INSIDE and CONN_CONNECT only; route is set from the end of CONN_PEEK on,
 * upstream only for those that are proxied; server is UPSTREAM_NO_SERVER while it holds no place at one, and only
 * together with upstream.  Of one that was handed off it is the place of the inlet.  secure is set from ROUTE_TERMINATE
 * on. */
struct conn {
    unsigned magic;
    uint8_t state;      /* enum conn_state */
    uint8_t reason;     /* enum close_reason, in CONN_REFUSE and CONN_END */
    bool reset : 1;     /* end by a reset, not in order */
    bool probing : 1;   /* in the worker's lists of those not yet decided, by wait */
    bool hurried : 1;   /* decided early: others needed the room */
    bool counted : 1;   /* with its source */
    bool undecided : 1; /* and as one that is */
    uint8_t looks;      /* that wanted more bytes, in CONN_PEEK and CONN_TLS_INSIDE; counted until they become rare */
    uint32_t seen;      /* bytes peeked or decrypted so far */
    uint32_t server;    /* index of the upstream's server */
    struct worker *worker;
    const struct listener_config *listener;
    struct route *route;
    struct upstream *upstream;
    struct handoff *handoff; /* the backend that is waited for */
    struct secure *secure;   /* while the client's TLS ends here; NULL: it does not */
    const char *protocol;    /* name of the probe that matched; NULL: none */
    char *names;             /* "SNI\0ALPN" for the log, either may be empty; NULL: no hello was seen */
    uint8_t *header;         /* the message that goes with the socket, while it waits; owned */
    uint32_t header_len;
    uint64_t id;
    int64_t start_ms;
    int64_t armed_ms; /* when the idle deadline was last armed */
    struct list link;
    struct conn_wait *wait; /* NULL: none; owned */
    struct deadline deadline;
    struct deadline nap;
    struct addr peer, local;
    struct conn_side client, server_side;
    struct relay_way up, down; /* from the client, to the client */
};

/* conn_start - take fd (accepted, non-blocking, admitted by limits) and begin to peek. */
void conn_start(struct worker *worker, const struct listener_config *listener, int fd, const struct addr *peer,
                const struct addr *local);

/* conn_on_ready - for the worker's poller: tag says which side. */
enum { CONN_CLIENT, CONN_SERVER };
void conn_on_ready(void *owner, unsigned tag, short what);

/* conn_drive - run steps until one stays; the connection may be gone afterwards (freed at the end of the turn). */
void conn_drive(struct conn *conn, unsigned wake);

/* conn_close - end a connection from outside its steps: the worker stops.  A proxied one is reset. */
void conn_close(struct conn *conn, enum close_reason reason);

/* For steps. */

/* conn_ends - set the reason; returns CONN_END.  conn_resets: the same, and both sockets are reset. */
enum conn_state conn_ends(struct conn *conn, enum close_reason reason);
enum conn_state conn_resets(struct conn *conn, enum close_reason reason);

/* conn_watch_client, conn_watch_server - wait for these (EV_READ, EV_WRITE or 0) from now on. */
void conn_watch_client(struct conn *conn, short what);
void conn_watch_server(struct conn *conn, short what);

/* conn_close_server - close the socket to the server, if there is one. */
void conn_close_server(struct conn *conn);

/* conn_discard - read and drop what the client has sent, so that closing in order does not become a reset. */
void conn_discard(struct conn *conn);

/* conn_wait - the part for those that wait, made on first use.  conn_wait_done - it is needed no more. */
struct conn_wait *conn_wait(struct conn *conn);
void conn_wait_done(struct conn *conn);
/* conn_rearm - the connection was active: start its deadline anew, coarsely. */
void conn_rearm(struct conn *conn, int64_t timeout_ms);

/* conn_count - add to a plain counter, for the gateway and for the connection's route. */
void conn_count(struct conn *conn, enum gateway_counter row, uint64_t n);

enum { CONN_ID_BYTES = 17 };
/* conn_id - the unique id as 16 hexadecimal digits; returns out.  conn_id_text - the same of an id. */
char *conn_id(const struct conn *conn, char out[CONN_ID_BYTES]);
char *conn_id_text(uint64_t id, char out[CONN_ID_BYTES]);

/* conn_state_name - as it stands in debug logs and lists. */
const char *conn_state_name(enum conn_state state);

/* The SNI and the ALPN offer, or NULL. */
const char *conn_sni(const struct conn *conn);
const char *conn_alpn(const struct conn *conn);

/* conn_remember - keep what the log needs of a sight. */
void conn_remember(struct conn *conn, const struct sight *sight);

#endif
