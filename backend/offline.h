/* offline - messages that wait in the store for their recipient.
 *
 * Source: XEP-0160, XEP-0203, XEP-0334. */
#ifndef POSTERN_BACKEND_OFFLINE_H
#define POSTERN_BACKEND_OFFLINE_H

#include "backend/stanza.h"
#include "backend/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct user;

enum { OFFLINE_SLICE = 16 }; /* entries that are read at once */

/* offline_is_storable - whether a stanza is one that is kept for later: a message of type normal or chat with content,
 * unless its sender forbids it (XEP-0334). */
bool offline_is_storable(const struct stanza *stanza);

/* offline_store - keep a message (taken) until the user comes.  It is freed when it is safe; its sender is told when
 * it cannot be kept, but not that there is no such account. */
void offline_store(struct user *user, struct stanza *stanza);

/* offline_note - something is about to be put into the user's queue: who comes has to look there.  As the queue was
 * found empty when the user was read, that is not done before. */
void offline_note(struct user *user);

/* offline_delete - entries have been delivered.  When that fails they come once more some day. */
void offline_delete(struct user *user, const uint64_t *ids, size_t count);

/* offline_is_expired - whether an entry of the user's queue has waited for longer than its host allows. */
bool offline_is_expired(const struct user *user, const struct store_entry *entry);

#endif
