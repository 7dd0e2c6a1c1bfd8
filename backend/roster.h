/* roster - the contacts of a user in memory.
 *
 * Source: RFC 6121 section 2; the states are those of its appendix A. */
#ifndef POSTERN_BACKEND_ROSTER_H
#define POSTERN_BACKEND_ROSTER_H

#include "backend/roster_item.h"
#include "backend/user.h"

#include <stddef.h>
#include <stdint.h>

/* Sorted by bare JID.
 *
 * Versions (section 2.6) are milliseconds since 1970, or one more than the last where that would not be more.  So every
 * change has one, no two changes have the same one, and after an account has been made anew, or an old backup
 * restored, none comes again.  Each listed item has that of its last change, and the roster that of the last removal;
 * a client whose version is none of these may have missed something that cannot be told from here. */
struct roster {
    size_t count, cap;
    uint64_t version; /* of the last change; 0: there was none */
    uint64_t removed; /* of the last change that took an item out of the list; 0: there was none */
    struct roster_item *items[];
};

/* roster_find - the contact with that prepared bare JID; NULL: none. */
const struct roster_item *roster_find(const struct user *user, const char *bare);

/* roster_of - to walk through all items; NULL: there is none. */
const struct roster *roster_of(const struct user *user);

/* roster_flags - the flags of a contact; 0: the user has none of that address. */
uint8_t roster_flags(const struct user *user, const char *bare);

/* roster_count - the items that have all the flags. */
size_t roster_count(const struct user *user, uint8_t flags);

/* What follows is for roster_change alone, which sees to it that memory is never ahead of the store. */

/* roster_put - have the item (taken) instead of what was there with its address. */
void roster_put(struct user *user, struct roster_item *item);

/* roster_drop - have no item with that address; version is the roster's from now on, 0: the item was not listed. */
void roster_drop(struct user *user, const char *bare, uint64_t version);

/* roster_forget - have nothing in memory, as the store has not. */
void roster_forget(struct user *user);

/* The record that says which version had the last removal. */
#define ROSTER_REMOVED_KEY       ""
#define ROSTER_REMOVED_ELEMENT   "removed"
#define ROSTER_REMOVED_ATTRIBUTE "v"

#endif
