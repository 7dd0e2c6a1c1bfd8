/* presence_fan - presence straight from one user to another on the same shard: printed once for all who are told, and
 * no stanza made for each.
 *
 * It changes nothing of what is seen: who is held, or has block or privacy lists, is told by the router as before.
 * Source: RFC 6121 sections 4.2 to 4.5. */
#ifndef POSTERN_BACKEND_PRESENCE_FAN_H
#define POSTERN_BACKEND_PRESENCE_FAN_H

#include "backend/stanza.h"

#include <stdbool.h>
#include <stddef.h>

struct session;

/* What a session broadcasts.  text: the stanza without its "to", with room for that in front. */
struct presence_fan {
    const struct session *session;
    enum stanza_type type;
    bool usable; /* the session's user has no lists that may forbid something */
    char *text;
    size_t tail_len;
};

/* presence_fan_open - stanza: available or unavailable presence from the session to nobody in particular.  Close it
 * again. */
void presence_fan_open(struct presence_fan *fan, const struct session *session, const struct stanza *stanza);
void presence_fan_close(struct presence_fan *fan);

/* presence_fan_put - the contact's sessions are given it, if there are any.  False: it has to go there as a stanza. */
MUSTCHECK bool presence_fan_put(const struct presence_fan *fan, const char *bare);

/* presence_gather - as if the session had asked for the presence of a contact, to which it is subscribed: it is sent
 * what the contact's sessions have said last.  Nobody there: nothing is sent, as a client takes for unavailable whom it
 * knows nothing of (section 4.3.2 leaves the choice).  False: the contact has to be asked by a stanza. */
MUSTCHECK bool presence_gather(struct session *session, const char *bare);

#endif
