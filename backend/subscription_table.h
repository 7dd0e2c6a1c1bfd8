/* subscription_table - what becomes of a subscription when somebody asks for it, grants it, or ends it.
 *
 * Pure: no user, no stanza, nothing stored.  Source: RFC 6121 appendix A and section 3.4. */
#ifndef POSTERN_BACKEND_SUBSCRIPTION_TABLE_H
#define POSTERN_BACKEND_SUBSCRIPTION_TABLE_H

#include "backend/stanza.h"

#include <stdint.h>

/* Who sends: the user to the contact, or the contact to the user. */
enum subscription_way { SUBSCRIPTION_OUTBOUND, SUBSCRIPTION_INBOUND };

enum {
    SUBSCRIPTION_PASS = 1, /* route the stanza to the contact; inbound: deliver it to the user */
    SUBSCRIPTION_AUTO = 2, /* do not, but answer for the user: subscribed */
};

/* What is to happen. */
struct subscription_step {
    uint8_t flags; /* of the contact from now on, as in roster_item.h; 0: nothing is to be remembered of it */
    uint8_t does;
};

/* subscription_step_of - for a contact with the flags (0: the user has none of that address), and a stanza of one of
 * the four types. */
struct subscription_step subscription_step_of(uint8_t flags, enum subscription_way way, enum stanza_type type);

#endif
