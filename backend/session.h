/* session - a bound resource: what a client does after it has logged in. */
#ifndef POSTERN_BACKEND_SESSION_H
#define POSTERN_BACKEND_SESSION_H

#include "backend/end_reason.h"
#include "backend/jid.h"
#include "backend/stanza.h"
#include "backend/user.h"

#include <stdbool.h>
#include <stdint.h>

struct sm;
struct stream;

/* Lives on the user's shard. */
struct session {
    struct list link; /* user->sessions; user->departed from session_leave to the end */
    struct user *user;
    struct stream
        *stream;     /* borrowed; the stream ends the session, or leaves it, before it goes; NULL: it has left it */
    struct sm *sm;   /* stream management; NULL: the client did not ask for it */
    struct jid *jid; /* full */
    struct jid *bare;
    char *active_list; /* of privacy; NULL: the default list is in force */
    int64_t since_ms;
    struct offline_run *offline; /* is being given what has waited for its user; NULL: not so */
    struct archive_run *archive; /* what it has asked of the archive, the first under way; NULL: nothing */
    struct presence *presence;   /* what it has broadcast last; NULL: it is not available */
    struct presence *room;       /* for one of the usual size, see presence_make_room; from bind to the end */
    struct directed *directed;   /* to whom it has sent presence besides; NULL: nobody */
    bool available;              /* has sent initial presence */
    int16_t priority;            /* of its presence: -128 to 127 */
    bool interested;             /* has asked for the roster, and so is told of its changes */
    bool wants_blocks;           /* has asked for the block list, and hears of its changes */
    bool ahead;                  /* the last stanza went to somebody who has too many waiting */
    bool left;                   /* after session_leave */
    bool ended;                  /* after session_end: the stream is gone */
};

/* session_bind - a new session with the resource asked for (NULL or "": one is made up).  When another session has it,
 * the host's resource-conflict decides.  NULL and *error (a stanza error) when the resource is not acceptable or there
 * are too many.
 */
MUSTCHECK struct session *session_bind(struct user *user, struct stream *stream, const struct jid *bare,
                                       const char *resource, int *error);

/* session_leave - the resource is free again, nothing more is delivered to it, and its contacts are told; the session
 * is still there for the log.  Harmless when done twice. */
void session_leave(struct session *session);

/* session_end - leave; it is freed when all that it has sent before is handled. */
void session_end(struct session **session);

/* session_departed - its farewell (see presence.h) is over: free it, unless its stream has not ended yet. */
void session_departed(struct session *session);

/* session_find - by prepared resource; NULL when it is not bound. */
struct session *session_find(const struct user *user, const char *resource);

/* What a stanza was that is the stream's fault: a stream error condition; NULL: none. */
struct session_fault {
    const char *condition;
    const char *text;
};

/* session_receive - a first-level element from the client (taken): check, stamp, route.  Source: RFC 6120 section 8. */
struct session_fault session_receive(struct session *session, struct elem *elem);

/* session_stop - the session's stream is about to end: the session leaves, or waits for a resumption.  *session is NULL
 * when it does, and is the stream's no longer. */
void session_stop(struct session **session, enum end_reason reason);

/* session_log_expired - that a session without a stream ends. */
void session_log_expired(const struct session *session);

/* session_send - write a stanza to the client; it is borrowed, but its receipt and stored_id are taken over when the
 * client acknowledges what it gets. */
void session_send(struct session *session, struct stanza *stanza);

/* session_send_presence - likewise a presence that is printed already, for a stream of jabber:client and with both
 * addresses. */
void session_send_presence(struct session *session, const char *text, size_t len);

/* session_is_behind - whether the client has a good deal to read or to acknowledge yet, or is not there: who has more
 * for it that can wait, waits for offline_run_continue. */
bool session_is_behind(const struct session *session);

/* session_continue - the client has taken or acknowledged something, or has come back: what waits for that goes on. */
void session_continue(struct session *session);

#endif
