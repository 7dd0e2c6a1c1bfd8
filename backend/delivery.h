/* delivery - what happens to a stanza that has arrived for an address of ours.
 *
 * Source: RFC 6121 section 8. */
#ifndef POSTERN_BACKEND_DELIVERY_H
#define POSTERN_BACKEND_DELIVERY_H

#include "backend/stanza.h"

#include <stdbool.h>

struct shard;
struct user;

/* delivery_take - the stanza (taken) is for this user or one of its resources; the user is ready.  Called by the user
 * alone, one at a time.  Source: section 8.5. */
void delivery_take(struct user *user, struct stanza *stanza);

/* delivery_is_moot - whether nothing would come of the stanza, so that the user (NULL: not in memory) need not be read
 * for it: presence for somebody who is not there. */
bool delivery_is_moot(const struct user *user, const struct stanza *stanza);

/* delivery_to_host - the stanza (taken) is for a host, or a resource of one.  Any shard.  Source: section 8.4, and
 * RFC 6120 section 10.5. */
void delivery_to_host(struct shard *shard, struct stanza *stanza);

#endif
