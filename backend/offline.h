/* offline - messages that wait in the store for their recipient.
 *
 * Source: XEP-0160. */
#ifndef POSTERN_BACKEND_OFFLINE_H
#define POSTERN_BACKEND_OFFLINE_H

#include "backend/stanza.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct user;

/* offline_is_storable - whether a stanza is one that is kept for later: a message of type normal or chat with content,
 * unless its sender forbids it (XEP-0334). */
bool offline_is_storable(const struct stanza *stanza);

/* offline_delete - entries have been delivered.  When that fails they come once more some day. */
void offline_delete(struct user *user, const uint64_t *ids, size_t count);

#endif
