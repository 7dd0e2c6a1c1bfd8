/* sqlite_queue - the SQLite engine's queues. */
#ifndef POSTERN_BACKEND_STORE_SQLITE_QUEUE_H
#define POSTERN_BACKEND_STORE_SQLITE_QUEUE_H

#include "backend/store/store_engine.h"

/* See struct store_engine. */
enum store_status sqlite_queue_add(void *engine, const char *owner, enum store_kind kind,
                                   const struct store_limit *limit, struct store_entry *entry);
enum store_status sqlite_queue_get(void *engine, const char *owner, enum store_kind kind, uint64_t after, size_t max,
                                   struct store_entries *out);
enum store_status sqlite_queue_del(void *engine, const char *owner, enum store_kind kind, const uint64_t *ids,
                                   size_t count, uint64_t last);
enum store_status sqlite_remote_list(void *engine, struct store_remotes *out);

#endif
