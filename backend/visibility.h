/* visibility - what follows for presence when a user blocks or unblocks somebody.
 *
 * Take down who may see whom before the change, and settle it after: contacts who may no longer see a session are told
 * that it is gone, those who may again what it has broadcast last; and the user's clients likewise.
 * Source: XEP-0191 sections 3.3 and 3.4, XEP-0016 sections 2.10 and 2.11. */
#ifndef POSTERN_BACKEND_VISIBILITY_H
#define POSTERN_BACKEND_VISIBILITY_H

#include "lib/check.h"

struct user;
struct visibility;

/* visibility_note - NULL when nobody of the user's is available, so that there is nothing to settle. */
MUSTCHECK struct visibility *visibility_note(struct user *user);

/* visibility_settle - in the same turn of the loop, without another change of sessions or roster between; frees
 * before. */
void visibility_settle(struct user *user, struct visibility **before);

#endif
