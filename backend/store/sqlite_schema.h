/* sqlite_schema - the database's tables, brought up to date when it is opened. */
#ifndef POSTERN_BACKEND_STORE_SQLITE_SCHEMA_H
#define POSTERN_BACKEND_STORE_SQLITE_SCHEMA_H

#include "lib/check.h"

#include <sqlite3.h>
#include <stddef.h>

/* sqlite_schema_set_up - choose how SQLite works, and migrate.  path is for messages.  Returns 0, or -1 and a message
 * in why. */
MUSTCHECK int sqlite_schema_set_up(sqlite3 *db, const char *path, char *why, size_t cap);

/* sqlite_schema_check - whether this program can work with a database of that version, after migrations.  The same
 * results. */
MUSTCHECK int sqlite_schema_check(sqlite3 *db, const char *path, char *why, size_t cap);

#endif
