/* remote_waiting - what waits in memory for a stream to another server.
 *
 * Stanzas until a stream is set up, those that are to survive for S2S_PROMISE_MS at most: then they are stored
 * (remote_queue).  And farewells, which are unavailable presence, for a domain that cannot be reached. */
#ifndef POSTERN_BACKEND_REMOTE_WAITING_H
#define POSTERN_BACKEND_REMOTE_WAITING_H

#include "backend/stanza.h"
#include "lib/list.h"
#include "lib/loop.h"

#include <stdbool.h>

struct remote_route;

/* remote_waiting_add - a stanza (taken) that waits, is stored when others are, or is answered when there are too many.
 */
void remote_waiting_add(struct remote_route *route, struct stanza *stanza);

/* remote_waiting_take - move all that wait for a stream, in order, to the end of out. */
void remote_waiting_take(struct remote_route *route, struct list *out);

/* remote_waiting_store - store those that are to survive. */
void remote_waiting_store(struct remote_route *route);
/* remote_waiting_on_promise - likewise, for the shard's deadline queue. */
void remote_waiting_on_promise(struct deadline *deadline, void *shard);

/* remote_waiting_is_presence - whether it is presence that may be sent anew instead: not of a subscription. */
bool remote_waiting_is_presence(const struct stanza *stanza);

/* remote_waiting_put_off - presence (taken) that is sent anew when the rows before it are gone.
 * remote_waiting_farewell - unavailable presence (taken) that is kept until then, if there is room. */
void remote_waiting_put_off(struct remote_route *route, struct stanza *stanza);
void remote_waiting_farewell(struct remote_route *route, struct stanza *stanza);

/* remote_waiting_take_farewells - move them to the end of out.  remote_waiting_drop_farewells - free them.
 * remote_waiting_drop - free all that waits. */
void remote_waiting_take_farewells(struct remote_route *route, struct list *out);
void remote_waiting_drop_farewells(struct remote_route *route);
void remote_waiting_drop(struct remote_route *route);

#endif
