/* delivery - what happens to a stanza that has arrived for a bare or full JID of ours.
 *
 * Source: RFC 6121 section 8.5. */
#ifndef POSTERN_BACKEND_DELIVERY_H
#define POSTERN_BACKEND_DELIVERY_H

#include "backend/stanza.h"

struct user;

/* delivery_take - the stanza (taken) is for this user, who is ready; called by the user alone, one at a time. */
void delivery_take(struct user *user, struct stanza *stanza);

#endif
