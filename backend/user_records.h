/* user_records - a client's request changes what the store keeps for its user: first on the disk, then in memory. */
#ifndef POSTERN_BACKEND_USER_RECORDS_H
#define POSTERN_BACKEND_USER_RECORDS_H

#include "backend/stanza.h"
#include "backend/store.h"
#include "lib/check.h"

#include <stddef.h>

struct user;

/* What follows when the changes are durable (ok), or have failed and the sender of request has been told so: change
 * memory, answer.  The user is held until it returns. */
typedef void user_records_fn(struct user *user, const struct stanza *request, bool ok, void *arg);

/* user_records_change - make the changes (copied, as the request is), and call fn once, later.  What a guest changes
 * lasts as long as the guest: fn is called at once then. */
void user_records_change(struct user *user, const struct stanza *request, const struct store_record *changes,
                         size_t count, user_records_fn *fn, void *arg);

/* user_records_refuse - tell the sender of request why the store could not do it; status is not STORE_OK. */
void user_records_refuse(struct user *user, const struct stanza *request, enum store_status status);

#endif
