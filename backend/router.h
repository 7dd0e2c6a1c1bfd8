/* router - the only way between two addresses. */
#ifndef POSTERN_BACKEND_ROUTER_H
#define POSTERN_BACKEND_ROUTER_H

#include "backend/stanza.h"

#include <stdbool.h>

struct shard;

/* router_deliver - bring a stanza (taken; both addresses set) from its sender's shard to where its "to" lives: a
 * handler for a host, a session or the account on the user's shard.  What cannot be delivered is answered by an error
 * or dropped, as RFC 6121 section 8.5 says.  Order is kept for each pair of addresses: the way of a pair is always the
 * same, and mailboxes keep order.  A stanza to a host is handled on the sender's shard: a host has no state.
 * Returns false when so much waits for the addressee's shard, or there for the store, that a client which sends to it
 * must pause, for a mailbox has no end. */
bool router_deliver(struct shard *here, struct stanza *stanza);

#endif
