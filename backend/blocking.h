/* blocking - whom a user does not want to hear from, nor to be seen by: the block list, and whether a stanza may pass.
 *
 * One question is asked for every stanza from or to a user, and it covers the block list (XEP-0191), which always
 * applies, and then the privacy list in force (XEP-0016).  Who has neither pays two comparisons.  The user's own
 * account and the server itself cannot be shut out.
 * A record is <item xmlns='urn:xmpp:blocking' jid='…'/> under the prepared address. */
#ifndef POSTERN_BACKEND_BLOCKING_H
#define POSTERN_BACKEND_BLOCKING_H

#include "backend/stanza.h"
#include "backend/user.h"

#include <stdbool.h>
#include <stddef.h>

struct session;

/* Sorted.  The texts are allocations of their own. */
struct blocking {
    size_t count;
    char *jids[];
};

/* blocking_of - the blocked addresses; NULL: there are none. */
const struct blocking *blocking_of(const struct user *user);

/* blocking_has - whether exactly that prepared address is in the list. */
bool blocking_has(const struct user *user, const char *jid);

/* blocking_set - have these count addresses (texts copied, in any order) in memory; for what the store has already. */
void blocking_set(struct user *user, const char *const *jids, size_t count);

/* blocking_judge… - for those who have a block list or privacy lists: see the functions of which they are a part. */
bool blocking_judge(const struct user *user, const struct session *session, const struct stanza *stanza, bool incoming);
bool blocking_judge_kind(const struct user *user, const struct session *session, const struct jid *other,
                         unsigned kind);

static inline bool blocking_is_simple(const struct user *user)
{
    return !user->parts[USER_PART_BLOCKED] && !user->parts[USER_PART_PRIVACY];
}

/* blocking_allows - whether a stanza may pass from (incoming false) or to the user.  session: the one that sends it or
 * that it is for; NULL: it is for the account. */
static inline bool blocking_allows(const struct user *user, const struct session *session, const struct stanza *stanza,
                                   bool incoming)
{
    return blocking_is_simple(user) || blocking_judge(user, session, stanza, incoming);
}

/* blocking_allows_kind - likewise for a kind of stanza (PRIVACY_…) and an address: whether a session's presence may go
 * to a contact. */
static inline bool blocking_allows_kind(const struct user *user, const struct session *session, const struct jid *other,
                                        unsigned kind)
{
    return blocking_is_simple(user) || blocking_judge_kind(user, session, other, kind);
}

/* blocking_passes_in - whether a stanza that has arrived for the user may be delivered: to the resource it is for; to
 * the account, or at least one of its sessions.  blocking_passes_out - whether one that a session has sent may leave.
 */
bool blocking_judge_in(const struct user *user, const struct stanza *stanza);
bool blocking_judge_out(const struct user *user, const struct stanza *stanza);

static inline bool blocking_passes_in(const struct user *user, const struct stanza *stanza)
{
    return blocking_is_simple(user) || blocking_judge_in(user, stanza);
}

static inline bool blocking_passes_out(const struct user *user, const struct stanza *stanza)
{
    return blocking_is_simple(user) || blocking_judge_out(user, stanza);
}

/* blocking_take_in - what has arrived for the user and may not: the answers of XEP-0191 section 3.3 (takes the stanza).
 * blocking_take_out - likewise what one of its sessions has sent. */
void blocking_take_in(struct user *user, struct stanza *stanza);
void blocking_take_out(struct user *user, struct stanza *stanza);

#endif
