/* user_part - what a user has in memory of what the store keeps for it: one row for each part.
 *
 * A part is one file and one row of user_part.def.  It is read with the user, and freed with it. */
#ifndef POSTERN_BACKEND_USER_PART_H
#define POSTERN_BACKEND_USER_PART_H

#include "backend/store.h"

#include <stddef.h>

struct user;

enum user_part {
#define USER_PART(id, load, free) USER_PART_##id,
#include "backend/user_part.def"
#undef USER_PART
    USER_PARTS
};

/* How a part is read: from records of one kind, sorted by key, at least one (without any the part is NULL); they are
 * borrowed.  A record that cannot be read is logged and left out.  Returns what user->parts will have; may be NULL. */
typedef void *user_part_load_fn(struct user *user, const struct store_record *records, size_t count);
typedef void user_part_free_fn(void *part); /* never NULL */

#define USER_PART(id, load, free)                                                                                      \
    user_part_load_fn load;                                                                                            \
    user_part_free_fn free;
#include "backend/user_part.def"
#undef USER_PART

/* user_parts_kinds - the mask of all kinds of records that parts want. */
unsigned user_parts_kinds(void);

/* user_parts_load - fill user->parts, which are all NULL. */
void user_parts_load(struct user *user, const struct store_record *records, size_t count);
void user_parts_free(struct user *user); /* and make them NULL */

#endif
