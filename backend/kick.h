/* kick - end sessions of a user because an administrator says so. */
#ifndef POSTERN_BACKEND_KICK_H
#define POSTERN_BACKEND_KICK_H

#include "lib/mailbox.h"

#include <stddef.h>

struct backend;
struct jid;

/* kick_fn - count: how many sessions there were. */
typedef void kick_fn(size_t count, void *arg);

/* kick - end the session of a full JID, or all of a bare one (borrowed); none of them can be resumed.  The client is
 * told policy-violation and text (static; NULL: none).  Any thread; fn is called on reply_to's. */
void kick(struct backend *backend, const struct jid *jid, const char *text, struct mailbox *reply_to, kick_fn *fn,
          void *arg);

#endif
