/* user - all that the owning shard knows about one bare JID of ours while somebody is logged in to it. */
#ifndef POSTERN_BACKEND_USER_H
#define POSTERN_BACKEND_USER_H

#include "backend/end_reason.h"
#include "lib/list.h"
#include "lib/loop.h"

#include <stdint.h>

struct shard;

/* Invariant: in shard->users exactly as long as one of the lists has a member or cut_off_ms is set. */
struct user {
    unsigned magic;
    struct shard *shard;
    char *bare;
    struct list streams;  /* authenticated as this user; struct stream, user_link */
    struct list sessions; /* bound; struct session, link */
    int64_t cut_off_ms;   /* who began to authenticate before this may have used an old password; 0: nobody */
    struct deadline forget;
};

/* user_find - NULL when the shard, which must be the owner, knows nothing of that address. */
struct user *user_find(struct shard *shard, const char *bare);
struct user *user_get(struct shard *shard, const char *bare); /* made when not there */

/* user_release - free the user if nothing is known any more; call after taking something out. */
void user_release(struct user *user);

/* user_end_streams - the account is gone or has a new password: end every stream of that user, those too whose
 * authentication is still under way.  Any thread; happens on the owner's. */
void user_end_streams(struct shard *owner, const char *bare, const char *condition);

/* user_on_forget - the end of a cut-off: for the shard's deadline queue. */
void user_on_forget(struct deadline *deadline, void *shard);

#endif
