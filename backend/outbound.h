/* outbound - what happens to a stanza of a client before it is routed: what its own server must know of it.
 *
 * Source: RFC 6121 sections 3 (outbound subscription stanzas) and 4 (presence). */
#ifndef POSTERN_BACKEND_OUTBOUND_H
#define POSTERN_BACKEND_OUTBOUND_H

#include "backend/stanza.h"

struct user;

/* outbound_take - the stanza (taken) is from one of the user's sessions, which may have ended since; the user is ready.
 * Called by the user alone, one at a time. */
void outbound_take(struct user *user, struct stanza *stanza);

#endif
