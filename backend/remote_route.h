/* remote_route - the way from one of our domains to another server's.
 *
 * A stanza goes out on a stream that carries the pair; it waits in memory while one is being set up, and what is to
 * survive in the store (remote_queue) when that takes longer than S2S_PROMISE_MS.  While the domain cannot be reached
 * messages wait in the store, and everything else is answered.  Source: RFC 6120 section 10.4. */
#ifndef POSTERN_BACKEND_REMOTE_ROUTE_H
#define POSTERN_BACKEND_REMOTE_ROUTE_H

#include "backend/remote_queue.h"
#include "backend/s2s_failure.h"
#include "backend/stanza.h"
#include "lib/list.h"
#include "lib/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event;
struct remote;
struct s2s_stream;

enum remote_state {
    REMOTE_IDLE,       /* nobody has anything to send */
    REMOTE_CONNECTING, /* a stream is being set up */
    REMOTE_LIVE,       /* stream carries it */
    REMOTE_DOWN,       /* the last attempt failed, or the stream is lost */
};

/* Invariant: in remote->routes until remote_route_release finds that nothing keeps it. */
struct remote_route {
    unsigned magic;
    struct list link; /* remote->routes */
    struct remote *remote;
    char *local;
    enum remote_state state;
    struct s2s_stream *stream; /* CONNECTING, LIVE; else NULL */
    bool slow;                 /* counted in backend->slow_routes */
    bool joining;              /* CONNECTING: on a stream that carries other pairs already */
    struct list waiting;       /* CONNECTING: struct stanza, link */
    size_t waiting_bytes;
    struct deadline promise; /* CONNECTING: messages are among them */
    struct remote_queue queue;
    unsigned entries;      /* in s2s_unacked */
    bool presence_owed;    /* presence was not sent, or may be lost: all of it is to be sent anew */
    struct list farewells; /* struct stanza, link: unavailable presence that was not sent */
    size_t farewell_bytes;
    bool failing;    /* the last attempt was in vain */
    bool untold;     /* of failure and why the log does not say yet */
    int64_t told_ms; /* failing: when the log said something of it, of loop_now_ms; 0: not yet */
    enum s2s_failure failure;
    char *why;           /* for a person; NULL: nothing to add */
    unsigned failures;   /* in a row */
    int64_t tried_ms;    /* of loop_now_ms: the last attempt began; 0: none yet */
    int64_t retry_ms;    /* DOWN: whoever sends something may cause an attempt from then on */
    int64_t wake_ms;     /* DOWN: when there is one by itself, if there is a reason; never before retry_ms */
    struct event *timer; /* NULL: never used yet */
};

/* remote_route_get - made when it is not there.  remote_route_find - NULL then. */
struct remote_route *remote_route_get(struct remote *remote, const char *local);
struct remote_route *remote_route_find(struct remote *remote, const char *local);

/* remote_route_of - arg is one. */
struct remote_route *remote_route_of(void *arg);

/* remote_route_release - free it if nothing keeps it any more, and then its remote. */
void remote_route_release(struct remote_route *route);
/* remote_route_free - at the end of the process. */
void remote_route_free(struct remote_route *route);

/* remote_route_deliver - a stanza (taken) from a domain of ours.  Returns false when its sender must pause. */
bool remote_route_deliver(struct remote_route *route, struct stanza *stanza);

/* remote_route_write - a stanza (taken) on the stream of a live route; row_bytes as in s2s_unacked_add. */
void remote_route_write(struct remote_route *route, struct stanza *stanza, size_t row_bytes);

void remote_route_up(struct remote_route *route, struct s2s_stream *stream);
void remote_route_failed(struct remote_route *route, enum s2s_failure failure, const char *why);
/* remote_route_lost - its stream ends. */
void remote_route_lost(struct remote_route *route);

/* remote_route_caught_up - everything that has waited is on its way. */
void remote_route_caught_up(struct remote_route *route);

/* remote_route_changed - rows have gone or come: the timer, and whether the route is needed, follow. */
void remote_route_changed(struct remote_route *route);

/* remote_route_stop - the server stops: what waits in memory is stored. */
void remote_route_stop(struct remote_route *route);

const char *remote_state_name(enum remote_state state);

#endif
