/* roster_edit - a contact added, changed or removed as a client or an administrator wants it.
 *
 * Checked, stored, pushed to the user's clients; a contact that is removed learns what ends by that.  Source: RFC 6121
 * sections 2.3 to 2.5. */
#ifndef POSTERN_BACKEND_ROSTER_EDIT_H
#define POSTERN_BACKEND_ROSTER_EDIT_H

#include "backend/elem.h"
#include "backend/roster_change.h"

/* What the item is to be. */
enum roster_edit {
    ROSTER_EDIT_KEEP, /* with the name and groups given; the subscription stays as it is */
    ROSTER_EDIT_NONE, /* that, and with this subscription, whatever the contact's own record says */
    ROSTER_EDIT_TO,
    ROSTER_EDIT_FROM,
    ROSTER_EDIT_BOTH,
    ROSTER_EDIT_REMOVE,
};

/* roster_edit - item has the attributes jid and name, and groups.  Returns -1 when fn will be called, as by
 * roster_change, after the push; the user is held until then.  Otherwise nothing happens, and it returns an enum
 * stanza_error:
 *   bad-request         no address, or one with a resource; a group twice
 *   jid-malformed       no valid address
 *   not-allowed         the user's own address; a guest, who has no roster
 *   not-acceptable      the name or a group too long, a group without a name, too many groups
 *   resource-constraint too many contacts
 *   item-not-found      nothing to remove */
MUSTCHECK int roster_edit(struct user *user, const struct elem *item, enum roster_edit edit, roster_change_fn *fn,
                          void *arg);

#endif
