/* memory_archive - the memory engine's archive of one account. */
#ifndef POSTERN_BACKEND_STORE_MEMORY_ARCHIVE_H
#define POSTERN_BACKEND_STORE_MEMORY_ARCHIVE_H

#include "backend/store/store_engine.h"

/* Zeroed: empty. */
struct memory_archive {
    struct memory_archived **items; /* sorted by id */
    size_t count, cap;
};

void memory_archive_free(struct memory_archive *archive);

/* memory_archive_insert - STORE_EXISTS: the id is taken. */
enum store_status memory_archive_insert(struct memory_archive *archive, const struct store_archived *entry);

/* memory_archive_newest - its id; 0: it is empty. */
uint64_t memory_archive_newest(const struct memory_archive *archive);

void memory_archive_sum(const struct memory_archive *archive, struct store_archive_size *size);
/* memory_archive_cut - take out what may not stay. */
void memory_archive_cut(struct memory_archive *archive, const struct store_archive_keep *keep,
                        struct store_archive_purged *purged);

/* See struct store_engine. */
void memory_archive_look(const struct memory_archive *archive, struct store_archive_scan *scan);
enum store_status memory_archive_find(const struct memory_archive *archive, uint64_t id,
                                      struct store_archive_found *out);

#endif
