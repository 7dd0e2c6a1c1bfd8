/* sqlite_records - the SQLite engine's records. */
#ifndef POSTERN_BACKEND_STORE_SQLITE_RECORDS_H
#define POSTERN_BACKEND_STORE_SQLITE_RECORDS_H

#include "backend/store/store_engine.h"

/* See struct store_engine. */
enum store_status sqlite_records_get(void *engine, const char *owner, unsigned kinds, const char *key,
                                     struct store_records *out);
enum store_status sqlite_records_change(void *engine, const char *owner, const struct store_record *changes,
                                        size_t count);

#endif
