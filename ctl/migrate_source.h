/* migrate_source - what posternctl import is given, written out as one XEP-0227 document for the backend. */
#ifndef POSTERN_CTL_MIGRATE_SOURCE_H
#define POSTERN_CTL_MIGRATE_SOURCE_H

#include "ctl/prosody_folder.h"
#include "lib/check.h"

#include <stdio.h>

/* What it is. */
enum migrate_kind { MIGRATE_UNKNOWN, MIGRATE_XEP0227, MIGRATE_PROSODY };

/* migrate_source_kind - by a word: "xep0227" (also what ejabberd writes), "prosody". */
enum migrate_kind migrate_source_kind(const char *word);

/* migrate_source_write - read path, of that kind or of whichever it is, and write the document; host as in
 * prosody_folder_write.  Returns 0, or -1 and a message in why, with file and line. */
MUSTCHECK int migrate_source_write(enum migrate_kind kind, const char *path, const char *host, FILE *out,
                                   struct prosody_left_out *left_out, char *why, size_t cap);

#endif
