/* roster_change - one contact of a user changes: first in the store, then in memory. */
#ifndef POSTERN_BACKEND_ROSTER_CHANGE_H
#define POSTERN_BACKEND_ROSTER_CHANGE_H

#include "backend/roster.h"
#include "backend/store.h"

/* How it went: STORE_OK and memory says so, too; anything else and nothing has changed.  The user is held until it
 * returns. */
typedef void roster_change_fn(struct user *user, enum store_status status, void *arg);

/* roster_change - have the item (taken) instead of what the user has with its address; without flags: none.  request
 * is the stanza, as text, that asked for ROSTER_PENDING_IN; NULL: what was kept of it stays as long as that flag does.
 * The user, who is not held, is until fn has been called, later. */
void roster_change(struct user *user, struct roster_item *item, const char *request, roster_change_fn *fn, void *arg);

#endif
