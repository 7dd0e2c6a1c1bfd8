/* s2s_unacked - what was sent on a stream to another server, and not acknowledged.
 *
 * With stream management the other server acknowledges; without it a ping that is sent behind messages is answered.
 * What is not acknowledged in S2S_PROMISE_MS is stored, oldest first, and then counts as safe; all of it is when the
 * stream ends.  So what is a row in the store and what is not never change places. */
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

struct s2s_stream;

enum { S2S_PROMISE_MS = 500, S2S_PING_MS = 100 /* from a message to the ping behind it */ };

struct s2s_unacked {
    struct s2s_stream *stream;
    struct list entries;
    uint32_t sent, acked; /* stanzas, modulo 2^32 */
    uint32_t messages;    /* among the entries */
    size_t bytes;
    bool by_ping;        /* no stream management: only messages are kept */
    char *ping;          /* the id of the one that has no answer yet; NULL: none */
    uint32_t ping_after; /* its answer acknowledges up to this */
    struct deadline promise, ping_later;
};

void s2s_unacked_init(struct s2s_unacked *unacked, struct s2s_stream *stream);

/* s2s_unacked_add - a stanza (borrowed; its receipt and stored_id are taken over) was written as text. */
void s2s_unacked_add(struct s2s_unacked *unacked, struct stanza *stanza, const struct buf *text);

/* s2s_unacked_ack - the other server has all up to h (XEP-0198).  false: it was not sent so many, or had more before.
 */
MUSTCHECK bool s2s_unacked_ack(struct s2s_unacked *unacked, uint32_t h);

/* s2s_unacked_pong - an answer to an iq of a host of ours: whether it was for our ping. */
MUSTCHECK bool s2s_unacked_pong(struct s2s_unacked *unacked, const char *id);

/* s2s_unacked_print - everything once more, for a resumed stream. */
void s2s_unacked_print(const struct s2s_unacked *unacked, struct buf *out);

/* s2s_unacked_move - to another stream that has resumed this one. */
void s2s_unacked_move(struct s2s_unacked *to, struct s2s_unacked *from);

#endif
