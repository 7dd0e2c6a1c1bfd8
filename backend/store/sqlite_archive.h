/* sqlite_archive - the SQLite engine's archives. */
#ifndef POSTERN_BACKEND_STORE_SQLITE_ARCHIVE_H
#define POSTERN_BACKEND_STORE_SQLITE_ARCHIVE_H

#include "backend/store/store_engine.h"

struct sqlite3_stmt;
struct sqlite_engine;

/* sqlite_archive_bind - what of an entry stands behind its owner in the table. */
void sqlite_archive_bind(struct sqlite3_stmt *st, const struct store_archived *entry);

/* sqlite_archive_count - so many more are in the table, or less. */
enum store_status sqlite_archive_count(struct sqlite_engine *s, int64_t owner, int64_t entries, int64_t bytes);

/* See struct store_engine. */
enum store_status sqlite_archive_add(void *engine, const char *owner, const struct store_archived *entry);
enum store_status sqlite_archive_last(void *engine, const char *owner, uint64_t *id);
enum store_status sqlite_archive_scan(void *engine, const char *owner, struct store_archive_scan *scan);
enum store_status sqlite_archive_fetch(void *engine, const char *owner, uint64_t id, struct store_archive_found *out);

#endif
