/* presence_probe - the answer to somebody who asks whether a user is there.
 *
 * Source: RFC 6121 section 4.3.2. */
#ifndef POSTERN_BACKEND_PRESENCE_PROBE_H
#define POSTERN_BACKEND_PRESENCE_PROBE_H

#include "backend/stanza.h"

struct user;

/* presence_probe_take - a probe (taken) has arrived for the user or one of its resources.  Who may not know hears the
 * same whether there is such an account or not. */
void presence_probe_take(struct user *user, struct stanza *probe);

#endif
