/* sm_queue - what was sent to a client that has not acknowledged it.
 *
 * A message for which a sender waits is stored when that takes longer than SM_PROMISE_MS, and then counts as safe. */
#ifndef POSTERN_BACKEND_SM_QUEUE_H
#define POSTERN_BACKEND_SM_QUEUE_H

#include "backend/stanza.h"
#include "lib/list.h"
#include "lib/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct session;
struct user;

enum { SM_PROMISE_MS = 500 };

struct sm_queue {
    struct session *session;
    struct list entries; /* in the order in which they were sent */
    uint32_t count;      /* of them; modulo 2^32 together with acked */
    uint32_t acked;      /* by the client, since the beginning */
    uint32_t messages;   /* among the entries */
    size_t bytes;
};

void sm_queue_init(struct sm_queue *queue, struct session *session);

/* sm_queue_add - keep a stanza as printed in text; takes over its receipt and stored_id. */
void sm_queue_add(struct sm_queue *queue, struct stanza *stanza, const struct buf *text);

/* sm_queue_add_presence - likewise a presence of which there is only the text. */
void sm_queue_add_presence(struct sm_queue *queue, const char *text, size_t len);

/* sm_queue_allows - whether h is no more than was sent, and no less than was acknowledged before. */
MUSTCHECK bool sm_queue_allows(const struct sm_queue *queue, uint32_t h);

/* sm_queue_ack - the client has everything up to h.  false: sm_queue_allows no such h. */
MUSTCHECK bool sm_queue_ack(struct sm_queue *queue, uint32_t h);

/* sm_queue_print - everything once more, as for a stream of jabber:client. */
void sm_queue_print(const struct sm_queue *queue, struct buf *out);

/* sm_queue_has - whether an entry of the offline queue is among them. */
bool sm_queue_has(const struct sm_queue *queue, uint64_t stored_id);

/* sm_queue_end - give what is left back to the user, in order, before anything that waits for it. */
void sm_queue_end(struct sm_queue *queue, struct user *user);

/* sm_queue_on_promise - SM_PROMISE_MS are over: for the shard's deadline queue. */
void sm_queue_on_promise(struct deadline *deadline, void *shard);

#endif
