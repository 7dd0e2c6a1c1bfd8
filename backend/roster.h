/* roster - the contacts of a user in memory.
 *
 * Source: RFC 6121 section 2; the states are those of its appendix A. */
#ifndef POSTERN_BACKEND_ROSTER_H
#define POSTERN_BACKEND_ROSTER_H

#include "backend/user.h"
#include "lib/check.h"

#include <stddef.h>
#include <stdint.h>

enum {
    ROSTER_TO = 1,          /* the user sees the contact's presence */
    ROSTER_FROM = 2,        /* the contact sees the user's presence */
    ROSTER_PENDING_OUT = 4, /* the user has asked: ask='subscribe' */
    ROSTER_PENDING_IN = 8,  /* the contact has asked, and waits for an answer */
    ROSTER_APPROVED = 16,   /* pre-approved: section 3.4 */
    ROSTER_LISTED = 32,     /* is in the roster that clients see; one that is only pending in is not */
};

/* One allocation.  text: bare JID, name, and the groups, each with its NUL. */
struct roster_item {
    uint8_t flags;
    uint16_t groups;
    char text[];
};

/* Sorted by bare JID. */
struct roster {
    size_t count, cap;
    struct roster_item *items[];
};

/* roster_find - the contact with that prepared bare JID; NULL: none. */
const struct roster_item *roster_find(const struct user *user, const char *bare);

/* roster_of - to walk through all items; NULL: there is none. */
const struct roster *roster_of(const struct user *user);

static inline const char *roster_jid(const struct roster_item *item)
{
    return item->text;
}

const char *roster_name(const struct roster_item *item); /* "": none */

#endif
