/* remote_queue - what waits in the store for another server, of one route, in order.
 *
 * A row is there as long as the other server has not confirmed it.  Rows are read in slices when the route is live, and
 * sent as far as there is room on their way; what comes meanwhile joins the tail.  They are answered and taken out when
 * they have waited for too long, or when there is no hope.  Source: XEP-0203 for the stamp. */
#ifndef POSTERN_BACKEND_REMOTE_QUEUE_H
#define POSTERN_BACKEND_REMOTE_QUEUE_H

#include "backend/s2s_failure.h"
#include "backend/stanza.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct remote_route;

enum { REMOTE_QUEUE_SLICE = 32 }; /* rows that are read at once */

/* Lives in its route. */
struct remote_queue {
    uint64_t count, bytes; /* of the rows, with those that are being added */
    int64_t oldest_ms;     /* since 1970: no row is older */
    uint64_t cursor;       /* the last row that is on its way, or has been */
    uint64_t joined;       /* rows that were put behind it, ever */
    unsigned calls;        /* of the store, without an answer yet */
    unsigned epoch;        /* changes with the stream */
    bool behind;           /* there may be rows behind the cursor */
    bool reading;
    bool rejecting; /* all rows are answered by the route's failure */
};

/* remote_queue_keeps - whether a stanza is kept for later: a message that is worth it (offline_is_storable), and
 * presence that changes a subscription. */
bool remote_queue_keeps(const struct stanza *stanza);

/* remote_queue_owner - the name under which the store has the queue; the caller's to free. */
char *remote_queue_owner(const struct remote_route *route);

/* remote_queue_add - put a stanza (taken) at the tail.  It is freed when it is safe; its sender is told
 * (resource-constraint) when the domain's limits or the disk leave no room. */
void remote_queue_add(struct remote_route *route, struct stanza *stanza);

/* remote_queue_enter, remote_queue_left - rows of so many bytes are being added by somebody else, or are gone. */
void remote_queue_enter(struct remote_route *route, size_t bytes, int64_t stamp_ms);
void remote_queue_left(struct remote_route *route, uint64_t rows, size_t bytes);

/* remote_queue_delete - rows of so many bytes have been confirmed. */
void remote_queue_delete(struct remote_route *route, const uint64_t *ids, size_t count, size_t bytes);

/* remote_queue_begin - the route has got a stream: send from behind the row after.  remote_queue_end - has lost it. */
void remote_queue_begin(struct remote_route *route, uint64_t after);
void remote_queue_end(struct remote_route *route);

/* remote_queue_run - read and send, answer or take out what is to be now, unless that is under way. */
void remote_queue_run(struct remote_route *route);

/* remote_queue_due_ms - in how many milliseconds the oldest row will have waited for too long; INT64_MAX: never. */
int64_t remote_queue_due_ms(const struct remote_route *route);

/* remote_queue_purge - throw away all rows.  remote_queue_bounce - answer them first. */
void remote_queue_purge(struct remote_route *route);
void remote_queue_bounce(struct remote_route *route);

#endif
