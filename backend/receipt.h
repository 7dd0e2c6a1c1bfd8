/* receipt - the promise to a sender with stream management that its message is safe.
 *
 * It goes with the stanza: who must make a message safe keeps the stanza until it is, and freeing the stanza settles
 * the receipt.  A copy of a stanza has none.  Source: XEP-0198 section 4, and docs/architecture.md. */
#ifndef POSTERN_BACKEND_RECEIPT_H
#define POSTERN_BACKEND_RECEIPT_H

#include "lib/check.h"

#include <stdint.h>

struct receipt_share;
struct shard;

/* A value: it owns nothing.  Zeroed: nobody waits. */
struct receipt {
    struct shard *shard;         /* of the sender */
    uint64_t session;            /* the sender's: see sm_inbox; 0: no promise */
    uint32_t number;             /* of the stanza in that session, from 1 */
    struct receipt_share *share; /* others have to settle it as well; NULL: nobody else has */
};

/* receipt_split - one more that has to make the message safe: the sender is told when both are settled.  Nobody waits:
 * neither is a promise. */
MUSTCHECK struct receipt receipt_split(struct receipt *receipt);

/* receipt_settle - tell the sender's inbox, if it is the last, and clear the receipt.  Any shard's thread. */
void receipt_settle(struct receipt *receipt);

#endif
