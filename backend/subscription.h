/* subscription - who sees whose presence: asked for, granted, refused, ended.
 *
 * Each side changes its own record only; the other one learns of it by a stanza.  Source: RFC 6121 section 3. */
#ifndef POSTERN_BACKEND_SUBSCRIPTION_H
#define POSTERN_BACKEND_SUBSCRIPTION_H

#include "backend/stanza.h"

struct session;
struct user;

/* subscription_is - whether it is one of the four types of presence that are about subscriptions. */
bool subscription_is(const struct stanza *stanza);

/* subscription_outbound - such a stanza (taken) from one of the user's clients; the user is ready and not held. */
void subscription_outbound(struct user *user, struct stanza *stanza);

/* subscription_inbound - such a stanza (taken) from somebody to the user, who is ready and not held. */
void subscription_inbound(struct user *user, struct stanza *stanza);

/* subscription_failed - an error (taken) has come back to the user's bare address: to a request, which bears that
 * address, or to nothing that a client would know of. */
void subscription_failed(struct user *user, struct stanza *stanza);

/* subscription_comes_again - whether it is a request that subscription_again has sent: it need not be kept. */
bool subscription_comes_again(const struct stanza *stanza);

/* subscription_again - the user is back: ask those again who are not here and have not answered, as a request or its
 * answer may have got lost between servers.  Source: section 3.1.2. */
void subscription_again(struct user *user);

/* subscription_end - the contact, which had the flags, is no more in the user's roster: tell it what ends by that.
 * Source: section 2.5.2. */
void subscription_end(struct user *user, const struct jid *contact, uint8_t flags);

/* subscription_follow - the contact's flags have changed without a stanza between the two: show it the user's presence
 * if it sees that now, and that it is gone if it does not any more. */
void subscription_follow(struct user *user, const struct jid *contact, uint8_t old, uint8_t now);

/* subscription_end_all - the account is gone from the store: subscription_end for every contact and everybody who waits
 * for an answer, and no roster any more. */
void subscription_end_all(struct user *user);

#endif
