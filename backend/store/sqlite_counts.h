/* sqlite_counts - how many entries the queues have that were counted lately, so that a limit costs no counting.
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
    struct map *map; /* of owner and kind; the count and one */
    uint64_t known;
};

/* sqlite_counts_get - false: not known. */
bool sqlite_counts_get(const struct sqlite_counts *counts, int64_t owner, enum store_kind kind, uint64_t *count);
void sqlite_counts_set(struct sqlite_counts *counts, int64_t owner, enum store_kind kind, uint64_t count);

/* sqlite_counts_change - so many more or, below 0, less; nothing when it is not known. */
void sqlite_counts_change(struct sqlite_counts *counts, int64_t owner, enum store_kind kind, int64_t by);

void sqlite_counts_forget(struct sqlite_counts *counts);

#endif
