/* archive_retention - archived messages are deleted when their host keeps them no longer, or not so many.
 *
 * All archives are looked at when the server starts, and then when something may be due: at most once an hour, and not
 * at all while they are empty. */
#ifndef POSTERN_BACKEND_ARCHIVE_RETENTION_H
#define POSTERN_BACKEND_ARCHIVE_RETENTION_H

#include "lib/check.h"

struct archive_retention;
struct backend;

/* archive_retention_new - on shard 0. */
MUSTCHECK struct archive_retention *archive_retention_new(struct backend *backend);

/* archive_retention_free - when the store has answered all. */
void archive_retention_free(struct archive_retention **retention);

#endif
