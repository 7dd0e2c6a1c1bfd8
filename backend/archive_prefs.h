/* archive_prefs - with whom a user wants messages to be archived.
 *
 * A record is the <prefs/> of XEP-0441, under "".  Who has none gets what the host's archive-default says. */
#ifndef POSTERN_BACKEND_ARCHIVE_PREFS_H
#define POSTERN_BACKEND_ARCHIVE_PREFS_H

#include "backend/elem.h"
#include "backend/jid.h"
#include "backend/user.h"
#include "lib/check.h"

#include <stdbool.h>

struct archive_prefs;

enum { ARCHIVE_PREFS_MAX = 1000 }; /* addresses in both lists together */

/* The order of the option's choices. */
enum archive_default { ARCHIVE_ALWAYS, ARCHIVE_ROSTER, ARCHIVE_NEVER };

/* archive_prefs_want - whether messages from or to that address are to be archived. */
bool archive_prefs_want(const struct user *user, enum archive_default preset, const struct jid *other);

/* archive_prefs_read - of the <prefs/> that a client has sent.  NULL, and *error (a stanza error): it may not be. */
MUSTCHECK struct archive_prefs *archive_prefs_read(const struct elem *elem, int *error);

/* archive_prefs_add - append <prefs/> to parent; prefs NULL: of who has none. */
void archive_prefs_add(const struct archive_prefs *prefs, enum archive_default preset, struct elem *parent);

/* archive_prefs_of - NULL: the user has none.  archive_prefs_set - have these (taken) in memory; for what the store has
 * already. */
const struct archive_prefs *archive_prefs_of(const struct user *user);
void archive_prefs_set(struct user *user, struct archive_prefs *prefs);

#endif
