/* sm_inbox - how many stanzas were received under stream management, and how many of them are settled.
 *
 * A stanza is settled when its receipt is (receipt.h): a message when it is safe.  Sessions of clients and streams of
 * other servers count alike.  Source: XEP-0198 section 4. */
#ifndef POSTERN_BACKEND_SM_INBOX_H
#define POSTERN_BACKEND_SM_INBOX_H

#include <stdbool.h>
#include <stdint.h>

struct shard;
struct sm_inbox;
struct stanza;

/* All that was received is settled, and it was not before.  Called in the midst of anything: it defers what it does. */
typedef void sm_inbox_fn(struct sm_inbox *inbox);

/* Lives in its owner.  Counts are modulo 2^32. */
struct sm_inbox {
    struct shard *shard;
    sm_inbox_fn *on_settled;
    uint64_t serial;      /* its name in receipts; in shard->managed under it */
    uint32_t received;    /* stanzas */
    uint32_t handled;     /* of them, from the first without a gap: those that are settled */
    uint8_t *settled;     /* one for each of those between, as a ring; NULL: none */
    uint32_t settled_cap; /* a power of two */
};

/* sm_inbox_open - begin to count from 0; inbox is zeroed before. */
void sm_inbox_open(struct sm_inbox *inbox, struct shard *shard, sm_inbox_fn *on_settled);
/* sm_inbox_close - count no more; the counts stay as they are.  Harmless when it was not opened. */
void sm_inbox_close(struct sm_inbox *inbox);

/* sm_inbox_receive - count a stanza, and give it its receipt. */
void sm_inbox_receive(struct sm_inbox *inbox, struct stanza *stanza);

/* sm_inbox_is_settled - whether all that was received is. */
static inline bool sm_inbox_is_settled(const struct sm_inbox *inbox)
{
    return inbox->handled == inbox->received;
}

/* sm_inbox_settle - the stanza with that number is settled, if the inbox of that serial is still there. */
void sm_inbox_settle(struct shard *shard, uint64_t serial, uint32_t number);

#endif
