/* presence - who is available, and who is told.
 *
 * The last presence of a session is kept as the text that it was, for those who ask later.
 * Source: RFC 6121 section 4. */
#ifndef POSTERN_BACKEND_PRESENCE_H
#define POSTERN_BACKEND_PRESENCE_H

#include "backend/stanza.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stdint.h>

struct session;
struct user;

/* What a session has broadcast last; one allocation. */
struct presence {
    int64_t stamp_ms; /* since 1970 */
    size_t len;       /* bytes of text */
    char text[];      /* the stanza without addresses */
};

/* What has happened to a session's presence.  Its members as they are now are in the session. */
struct presence_change {
    const struct stanza *stanza; /* as it was broadcast: available or unavailable */
    bool was_available;
    int was_priority;
};

/* A hook: called after a session has become available, changed its presence, or become unavailable; it may be about to
 * be freed then, and has left user->sessions if its stream has ended. */
typedef void presence_hook_fn(struct user *user, struct session *session, const struct presence_change *change);

#define PRESENCE_HOOK(fn) presence_hook_fn fn;
#include "backend/presence_hooks.def"
#undef PRESENCE_HOOK

/* presence_outbound - available or unavailable presence (taken) from one of the user's sessions, directed or not:
 * sections 4.2.2, 4.4.2, 4.5.2, 4.6.3. */
void presence_outbound(struct user *user, struct stanza *stanza);

/* presence_inbound - available or unavailable presence (taken) has arrived for the user: sections 4.2.3, 4.4.3,
 * 4.5.3, 4.6.4. */
void presence_inbound(struct user *user, struct stanza *stanza);

/* presence_is_shared - whether the account may know that the session is there: it is the user's own, or subscribed, or
 * the session has sent it directed presence. */
bool presence_is_shared(const struct session *session, const char *bare);

/* presence_tell - send a contact what each available session has broadcast last, as after an approved subscription
 * (section 3.1.5); presence_tell_gone - that each is unavailable, as after a cancelled one (section 3.2.2). */
void presence_tell(const struct user *user, const struct jid *to);
void presence_tell_gone(const struct user *user, const struct jid *to);

/* presence_ask - ask for the presence of a contact at another server, from the bare address (section 4.3.1), if a
 * session is available. */
void presence_ask(const struct user *user, const struct jid *to);

/* presence_recall - the last presence of an available session, from its full address to another, with the time at
 * which it came. */
struct stanza *presence_recall(const struct session *session, const struct jid *to);

/* presence_farewell - the session has left: everybody who should is told, after what it has sent before; then it is
 * freed, but not before session_end. */
void presence_farewell(struct session *session);

/* presence_make_room - memory for a session, to keep a presence of the usual size in: free() it after presence_clear.
 * It is there before the session broadcasts any: when all come online at once, what each one keeps would else lie among
 * all that is freed afterwards, and hold a whole page of it. */
MUSTCHECK struct presence *presence_make_room(void);

/* presence_clear - free what a session has of it. */
void presence_clear(struct session *session);

#endif
