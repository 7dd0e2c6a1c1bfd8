/* s2s_unacked - what was sent on a stream to another server, and not acknowledged.
 *
 * With stream management the other server acknowledges; without it a ping that is sent behind messages is answered.
 * What is to survive (remote_queue_keeps) and is not acknowledged in S2S_PROMISE_MS is stored, oldest first, and then
 * counts as safe; all of it is when the stream ends.  So what is a row in the store and what is not never change
 * places. */
#ifndef POSTERN_BACKEND_S2S_UNACKED_H
#define POSTERN_BACKEND_S2S_UNACKED_H

#include "backend/stanza.h"
#include "lib/buf.h"
#include "lib/check.h"
#include "lib/list.h"
#include "lib/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct remote_route;
struct s2s_stream;

enum {
    S2S_PROMISE_MS = 500,
    S2S_PING_MS = 100,       /* from a message to the ping behind it */
    S2S_PONG_MS = 60 * 1000, /* for its answer; then the other server is taken for dead */
    S2S_UNACKED_MAX = 20000, /* stanzas; with more the stream ends */
    S2S_UNACKED_MAX_BYTES = 32 * 1024 * 1024,
    S2S_WINDOW = 512, /* messages that may be on their way; more wait in the store */
    S2S_WINDOW_BYTES = 1024 * 1024,
};

/* Zeroed, then s2s_unacked_init. */
struct s2s_unacked {
    struct s2s_stream *stream; /* NULL: it waits for a resumption */
    struct list entries;
    uint32_t sent, acked; /* stanzas, modulo 2^32 */
    uint32_t messages;    /* among the entries, that are to survive */
    size_t bytes;
    bool by_ping;        /* no stream management: only what is to survive is here */
    char *ping;          /* the id of the one that has no answer yet; NULL: none */
    uint32_t ping_after; /* its answer acknowledges up to this */
    struct deadline promise, ping_later, pong;
};

/* s2s_unacked_init - empty, by_ping. */
void s2s_unacked_init(struct s2s_unacked *unacked, struct s2s_stream *stream);

/* s2s_unacked_manage - stream management is enabled: from now on everything is kept, and no ping is sent.  Returns the
 * count of what was sent before; the other server counts from there. */
uint32_t s2s_unacked_manage(struct s2s_unacked *unacked);

/* s2s_unacked_add - a stanza (borrowed; its receipt and stored_id are taken over) of the route was written as text;
 * row_bytes: of its text in the store, if it is there. */
void s2s_unacked_add(struct s2s_unacked *unacked, struct remote_route *route, struct stanza *stanza,
                     const struct buf *text, size_t row_bytes);

/* s2s_unacked_has_room - whether more that is to survive may be sent. */
bool s2s_unacked_has_room(const struct s2s_unacked *unacked);

/* s2s_unacked_is_behind - whether so much is on its way that who sends should pause. */
bool s2s_unacked_is_behind(const struct s2s_unacked *unacked);

/* s2s_unacked_ack - the other server has all up to h (XEP-0198).  false: it was not sent so many, or had more before.
 */
MUSTCHECK bool s2s_unacked_ack(struct s2s_unacked *unacked, uint32_t h);

/* s2s_unacked_ask - do not wait with the ping: the stream is about to be closed. */
void s2s_unacked_ask(struct s2s_unacked *unacked);

/* s2s_unacked_pong - an answer to an iq of a host of ours: whether it was for our ping. */
MUSTCHECK bool s2s_unacked_pong(struct s2s_unacked *unacked, const char *id);

/* s2s_unacked_print - everything once more, for a resumed stream. */
void s2s_unacked_print(const struct s2s_unacked *unacked, struct buf *out);

/* s2s_unacked_move - to another place, which is empty: of a stream that has resumed this one, or one without a stream,
 * where it waits for that.  What is to survive is stored then. */
void s2s_unacked_move(struct s2s_unacked *to, struct s2s_unacked *from);

/* s2s_unacked_store - have everything that is to survive stored now, oldest first. */
void s2s_unacked_store(struct s2s_unacked *unacked);

/* s2s_unacked_last - the id of the last row of a route that is on its way; 0: none is, or its id is not known yet. */
uint64_t s2s_unacked_last(const struct s2s_unacked *unacked, const struct remote_route *route);

/* s2s_unacked_end - nothing more will be acknowledged: what is to survive is stored, everything else is answered. */
void s2s_unacked_end(struct s2s_unacked *unacked);

/* For the shard's deadline queues. */
void s2s_unacked_on_promise(struct deadline *deadline, void *shard);
void s2s_unacked_on_ping(struct deadline *deadline, void *shard);
void s2s_unacked_on_no_pong(struct deadline *deadline, void *shard);

#endif
