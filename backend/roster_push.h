/* roster_push - tell a user's clients what has become of a contact.
 *
 * Source: RFC 6121 sections 2.1.6 and 2.6. */
#ifndef POSTERN_BACKEND_ROSTER_PUSH_H
#define POSTERN_BACKEND_ROSTER_PUSH_H

#include "backend/session.h"

#include <stdint.h>

/* roster_push - tell the user's interested clients what the contact is now in the roster that they see. */
void roster_push(const struct user *user, const char *bare);

/* roster_push_missed - push to one client what has changed since that version, in order. */
void roster_push_missed(struct session *session, uint64_t version);

/* roster_push_version - say in an element what version the roster has. */
void roster_push_version(struct elem *query, uint64_t version);

#endif
