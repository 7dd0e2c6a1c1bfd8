#include "backend/store/sqlite_counts.h"

#include "lib/map.h"

#include <string.h>

enum { KNOWN_MAX = 10000, KEY_BYTES = sizeof(int64_t) + sizeof(uint32_t) };

static void make_key(uint8_t key[KEY_BYTES], int64_t owner, enum store_kind kind)
{
    const uint32_t number = (uint32_t)kind;

    memcpy(key, &owner, sizeof owner);
    memcpy(key + sizeof owner, &number, sizeof number);
}

bool sqlite_counts_get(const struct sqlite_counts *counts, int64_t owner, enum store_kind kind, uint64_t *count)
{
    uint8_t key[KEY_BYTES];

    if (!counts->map) return false;
    make_key(key, owner, kind);
    const uintptr_t value = (uintptr_t)map_get(counts->map, key, sizeof key);
    if (value) *count = value - 1;
    return value != 0;
}

void sqlite_counts_set(struct sqlite_counts *counts, int64_t owner, enum store_kind kind, uint64_t count)
{
    uint8_t key[KEY_BYTES];

    if (counts->known == KNOWN_MAX) sqlite_counts_forget(counts);
    if (!counts->map) counts->map = map_new();
    make_key(key, owner, kind);
    if (!map_set(counts->map, key, sizeof key, (void *)(uintptr_t)(count + 1))) counts->known++;
}

void sqlite_counts_change(struct sqlite_counts *counts, int64_t owner, enum store_kind kind, int64_t by)
{
    uint64_t count;

    if (sqlite_counts_get(counts, owner, kind, &count)) sqlite_counts_set(counts, owner, kind, count + (uint64_t)by);
}

void sqlite_counts_forget(struct sqlite_counts *counts)
{
    map_free(&counts->map);
    counts->known = 0;
}
