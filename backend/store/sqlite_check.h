/* sqlite_check - read the whole database on a connection of its own, and tell what is not as it should be. */
#ifndef POSTERN_BACKEND_STORE_SQLITE_CHECK_H
#define POSTERN_BACKEND_STORE_SQLITE_CHECK_H

#include "backend/store/store_engine.h"

#include <sqlite3.h>

/* See struct store_engine. */
enum store_status sqlite_check(const char *folder, struct store_check *check);

#endif
