/* sqlite_outfile - a VFS by which SQLite makes a database in a file that somebody else has opened.
 *
 * For a program in a sandbox, which can open nothing outside its own folders.  One connection, no journal, no locks. */
#ifndef POSTERN_BACKEND_STORE_SQLITE_OUTFILE_H
#define POSTERN_BACKEND_STORE_SQLITE_OUTFILE_H

#include "lib/check.h"

#include <sqlite3.h>

/* sqlite_outfile_open - a connection whose database is the file fd (kept by the caller, and open until the connection
 * is closed).  SQLite's result; *db is to be closed whatever that is. */
MUSTCHECK int sqlite_outfile_open(int fd, sqlite3 **db);

#endif
