/* roster_item - one contact of a user: as it lies in memory, in the store, and as clients see it.
 *
 * Source: RFC 6121 section 2.1.2. */
#ifndef POSTERN_BACKEND_ROSTER_ITEM_H
#define POSTERN_BACKEND_ROSTER_ITEM_H

#include "backend/elem.h"
#include "lib/buf.h"
#include "lib/check.h"

#include <stdint.h>

enum {
    ROSTER_TO = 1,          /* the user sees the contact's presence */
    ROSTER_FROM = 2,        /* the contact sees the user's presence */
    ROSTER_PENDING_OUT = 4, /* the user has asked: ask='subscribe' */
    ROSTER_PENDING_IN = 8,  /* the contact has asked, and waits for an answer */
    ROSTER_APPROVED = 16,   /* pre-approved: section 3.4 */
    ROSTER_LISTED = 32,     /* is in the roster that clients see; one that is only pending in is not */
};

enum { ROSTER_GROUPS_MAX = 255 };
#define ROSTER_VERSION_MAX ((UINT64_C(1) << 48) - 1)

/* One allocation; free with free().  text: bare JID, name, and the groups, each with its NUL. */
struct roster_item {
    uint64_t version : 48; /* of the roster when the item last changed, see roster.h; 0 unless it is listed */
    uint64_t groups : 8;
    uint64_t flags : 8;
    char text[];
};

static inline const char *roster_jid(const struct roster_item *item)
{
    return item->text;
}

const char *roster_name(const struct roster_item *item); /* "": none */

/* roster_item_new - a contact with the name and the <group/>s of an element (NULL: none of them), which are of the
 * element's namespace.  The rest is zero. */
MUSTCHECK struct roster_item *roster_item_new(const char *jid, const struct elem *elem);

MUSTCHECK struct roster_item *roster_item_copy(const struct roster_item *item, uint8_t flags);

/* roster_item_read - from the value of a record. */
MUSTCHECK struct roster_item *roster_item_read(const char *jid, const struct elem *elem);

/* roster_item_print - append the value of its record: an item as clients see it, with attributes for what they do
 * not see, and without the address, which is the record's key. */
void roster_item_print(const struct roster_item *item, struct buf *out);

/* roster_item_add - append it to a query as clients see it. */
void roster_item_add(const struct roster_item *item, struct elem *query);

/* roster_item_subscription - "none", "to", "from", "both". */
const char *roster_item_subscription(const struct roster_item *item);

#endif
