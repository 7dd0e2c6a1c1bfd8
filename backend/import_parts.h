/* import_parts - the parts of a user in an XEP-0227 document, one function for each.
 *
 * Each adds what it reads to the user, counts it there, and notes what it leaves out. */
#ifndef POSTERN_BACKEND_IMPORT_PARTS_H
#define POSTERN_BACKEND_IMPORT_PARTS_H

#include "backend/import_user.h"

/* import_roster - the roster, and with it the subscription requests, from all of the user's element.  Source: XEP-0227
 * sections 4.4 and 4.9. */
void import_roster(struct import_user *user, const struct elem *elem);

/* What is one child each of the user's element. */
void import_messages(struct import_user *user, const struct elem *part);
void import_private(struct import_user *user, const struct elem *part);
void import_vcard(struct import_user *user, const struct elem *part);
void import_privacy(struct import_user *user, const struct elem *part);
void import_blocklist(struct import_user *user, const struct elem *part);
void import_last(struct import_user *user, const struct elem *part);
void import_keys(struct import_user *user, const struct elem *part);
void import_own(struct import_user *user, const struct elem *part);

#endif
