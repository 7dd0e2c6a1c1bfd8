/* user - all that the owning shard knows about one bare JID of ours, and the order in which things happen to it.
 *
 * A user is read from the store when the first stanza for it arrives, or a client logs in; what comes until then is
 * held, in order.  Whoever must wait for the store before the next thing may happen to a user holds it likewise. */
#ifndef POSTERN_BACKEND_USER_H
#define POSTERN_BACKEND_USER_H

#include "backend/end_reason.h"
#include "backend/stanza.h"
#include "backend/user_part.h"
#include "lib/list.h"
#include "lib/loop.h"

#include <stdint.h>

struct shard;

enum user_state { USER_UNKNOWN, USER_LOADING, USER_READY };

/* Invariants: in shard->users exactly as long as one of the lists has a member, it is held, pinned or loading, or
 * cut_off_ms is set; sessions has no member unless the state is USER_READY. */
struct user {
    unsigned magic;
    enum user_state state;
    bool exists;    /* once READY: there is such an account */
    bool temporary; /* a guest (SASL ANONYMOUS): nothing is stored */
    bool stale;     /* what is in memory is to be read anew */
    bool draining;
    unsigned holds, pins;
    struct shard *shard;
    char *bare;
    struct list streams;   /* authenticated as this user; struct stream, user_link */
    struct list sessions;  /* bound; struct session, link */
    struct list departed;  /* have left, and their last presence waits to be handled; likewise */
    struct list held;      /* struct stanza, link */
    struct list calls;     /* see user_call.h */
    size_t held_bytes;     /* of their arenas */
    uint64_t archive_last; /* the id of the newest message in the user's archive; 0: none */
    int64_t cut_off_ms;    /* who began to authenticate before this may have used an old password; 0: nobody */
    struct deadline forget;
    void *parts[USER_PARTS]; /* what belongs to the user: see user_part.h; NULL: nothing stored */
};

/* user_find - NULL when the shard, which must be the owner, knows nothing of that address at the moment. */
struct user *user_find(struct shard *shard, const char *bare);
struct user *user_get(struct shard *shard, const char *bare); /* made when not there */

/* user_release - free the user if nothing keeps it any more; call after taking something out. */
void user_release(struct user *user);

/* user_load - begin to read the user from the store if it is not there yet.  Streams that wait for it are told by
 * stream_user_ready. */
void user_load(struct user *user);

/* user_deliver - a stanza (taken) for a bare or full JID of ours has arrived on its owner's shard.  It is handled at
 * once (delivery_take), or when the user is ready and not held.  With 8 MiB held it is refused (resource-constraint).
 */
void user_deliver(struct shard *shard, struct stanza *stanza);

/* user_send - a stanza (taken; addressed) from one of the user's sessions: handled at once (outbound_take), or when it
 * is no longer held.  Returns false when so much waits that the client must pause. */
bool user_send(struct user *user, struct stanza *stanza);

/* user_is_open - whether what happens to the user may happen now: nothing holds it, and nothing waits.
 * user_begin, user_end - around it: what is sent to the user meanwhile waits its turn.  The user may be gone when
 * user_end returns. */
bool user_is_open(const struct user *user);
void user_begin(struct user *user);
void user_end(struct user *user);

/* user_hold, user_resume - hold back all that arrives for or from the user, and all that comes behind it, until as many
 * calls of user_resume.  A held user stays in memory, so the answer of the store may keep a pointer to it; it may be
 * gone when user_resume returns. */
void user_hold(struct user *user);
void user_resume(struct user *user);

/* user_pin, user_unpin - keep the user in memory without holding anything back.  It may be gone when user_unpin
 * returns.
 */
void user_pin(struct user *user);
void user_unpin(struct user *user);

/* user_deliver_first - stanzas (struct stanza, link; taken) come before whatever waits for the user, who is held. */
void user_deliver_first(struct user *user, struct list *stanzas);

/* user_end_streams - the account is gone or has a new password: end every stream of that user, those too whose
 * authentication is still under way, and read the user anew when it is needed again.  keep: the full address of a
 * session that goes on with the user as it is; NULL: none.  Any thread; happens on the owner's. */
void user_end_streams(struct shard *owner, const char *bare, const char *condition, const char *keep);

/* user_end_detached - end the sessions that have no stream at the moment.  The user may be gone then. */
void user_end_detached(struct user *user);

/* user_on_forget - the end of a cut-off: for the shard's deadline queue. */
void user_on_forget(struct deadline *deadline, void *shard);

/* user_free - at the end of the process, with whatever it holds. */
void user_free(struct user *user);

#endif
