/* archive_policy - which messages are worth keeping, whoever they are from.
 *
 * Source: XEP-0313 section 6.1.1, XEP-0334. */
#ifndef POSTERN_BACKEND_ARCHIVE_POLICY_H
#define POSTERN_BACKEND_ARCHIVE_POLICY_H

#include "backend/stanza.h"

#include <stdbool.h>

/* archive_policy_keeps - whether a stanza is one that archives keep: a message of type normal or chat with a body or
 * something else that a conversation consists of, unless its sender forbids it; or one that its sender wants to be
 * kept. */
bool archive_policy_keeps(const struct stanza *stanza);

#endif
