/* sqlite_restore - a copy takes the database's place, while nobody has it open. */
#ifndef POSTERN_BACKEND_STORE_SQLITE_RESTORE_H
#define POSTERN_BACKEND_STORE_SQLITE_RESTORE_H

#include "lib/check.h"

#include <stddef.h>

/* See struct store_engine.  The copy is written beside the database and checked; then the two change places in one
 * step, so that a crash leaves the one or the other. */
MUSTCHECK int sqlite_restore(const char *folder, int fd, char *kept, char *why, size_t cap);

#endif
