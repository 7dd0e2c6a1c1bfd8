/* sqlite_archive_purge - how the SQLite engine's archives become smaller. */
#ifndef POSTERN_BACKEND_STORE_SQLITE_ARCHIVE_PURGE_H
#define POSTERN_BACKEND_STORE_SQLITE_ARCHIVE_PURGE_H

#include "backend/store/store_engine.h"

/* See struct store_engine. */
enum store_status sqlite_archive_size(void *engine, const char *owner, struct store_archive_size *size);
enum store_status sqlite_archive_purge(void *engine, const char *owner, const struct store_archive_keep *keep,
                                       struct store_archive_purged *purged, bool *more);

/* sqlite_archive_tidy - clear away some of what deleted accounts had. */
bool sqlite_archive_tidy(void *engine);

#endif
