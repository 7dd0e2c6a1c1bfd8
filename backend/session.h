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
    struct list link; /* user->sessions; in none after session_leave */
    struct user *user;
    struct stream
        *stream;     /* borrowed; the stream ends the session, or leaves it, before it goes; NULL: it has left it */
    struct sm *sm;   /* stream management; NULL: the client did not ask for it */
    struct jid *jid; /* full */
    struct jid *bare;
    char *active_list; /* of privacy; NULL: the default list is in force */
    int64_t since_ms;
    bool available;    /* has sent initial presence */
    bool interested;   /* has asked for the roster, and so is told of its changes */
    bool ahead;        /* the last stanza went to somebody who has too many waiting */
    bool wants_blocks; /* has asked for the block list, and hears of its changes */
    int priority;      /* of its presence: -128 to 127 */
};

/* session_bind - a new session with the resource asked for (NULL or "": one is made up).  When another session has it,
 * the host's resource-conflict decides.  NULL and *error (a stanza error) when the resource is not acceptable or there
 * are too many.
 */
MUSTCHECK struct session *session_bind(struct user *user, struct stream *stream, const struct jid *bare,
                                       const char *resource, int *error);

/* session_leave - the resource is free again, and nothing more is delivered to it; the session is still there for the
 * log.  Harmless when done twice. */
void session_leave(struct session *session);

/* session_end - leave, and free it. */
void session_end(struct session **session);

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

#endif
