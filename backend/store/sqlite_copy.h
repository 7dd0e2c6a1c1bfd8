/* sqlite_copy - a copy of the database, made in steps while it is written to.
 *
 * What the store's own connection writes meanwhile goes into the copy as well (sqlite3_backup), so nothing holds a
 * snapshot, and the write-ahead log does not grow. */
#ifndef POSTERN_BACKEND_STORE_SQLITE_COPY_H
#define POSTERN_BACKEND_STORE_SQLITE_COPY_H

#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>

/* See struct store_engine. */
MUSTCHECK void *sqlite_copy_begin(void *engine, int fd, char *why, size_t cap);
MUSTCHECK bool sqlite_copy_step(void *copy, char *why, size_t cap);
void sqlite_copy_end(void *copy);

#endif
