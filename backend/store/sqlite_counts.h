/* sqlite_counts - how many entries, and bytes, the queues have that were counted lately, so that a limit costs no
 * counting.
 *
 * Right as long as nobody else writes to the database; forgotten whenever something is undone. */
#ifndef POSTERN_BACKEND_STORE_SQLITE_COUNTS_H
#define POSTERN_BACKEND_STORE_SQLITE_COUNTS_H

#include "backend/store.h"

#include <stdbool.h>
#include <stdint.h>

struct map;

/* Zeroed is empty. */
struct sqlite_counts {
    struct map *map; /* of owner and kind; struct sqlite_count */
    uint64_t known;
};

struct sqlite_count {
    uint64_t entries, bytes; /* of their texts */
};

/* sqlite_counts_find - NULL: not known; borrowed until the next call of another of these, to be changed with what is
 * counted. */
struct sqlite_count *sqlite_counts_find(const struct sqlite_counts *counts, int64_t owner, enum store_kind kind);
void sqlite_counts_set(struct sqlite_counts *counts, int64_t owner, enum store_kind kind,
                       const struct sqlite_count *count);

void sqlite_counts_forget(struct sqlite_counts *counts);

#endif
