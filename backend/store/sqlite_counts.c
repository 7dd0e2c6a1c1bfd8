#include "backend/store/sqlite_counts.h"

#include "lib/map.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

enum { KNOWN_MAX = 10000, KEY_BYTES = sizeof(int64_t) + sizeof(uint32_t) };

static void make_key(uint8_t key[KEY_BYTES], int64_t owner, enum store_kind kind)
{
    const uint32_t number = (uint32_t)kind;

    memcpy(key, &owner, sizeof owner);
    memcpy(key + sizeof owner, &number, sizeof number);
}

struct sqlite_count *sqlite_counts_find(const struct sqlite_counts *counts, int64_t owner, enum store_kind kind)
{
    uint8_t key[KEY_BYTES];

    if (!counts->map) return NULL;
    make_key(key, owner, kind);
    return map_get(counts->map, key, sizeof key);
}

void sqlite_counts_set(struct sqlite_counts *counts, int64_t owner, enum store_kind kind,
                       const struct sqlite_count *count)
{
    uint8_t key[KEY_BYTES];
    struct sqlite_count *mine = sqlite_counts_find(counts, owner, kind);

    if (!mine) {
        if (counts->known == KNOWN_MAX) sqlite_counts_forget(counts);
        if (!counts->map) counts->map = map_new();
        mine = MEM_NEW(struct sqlite_count);
        make_key(key, owner, kind);
        map_set(counts->map, key, sizeof key, mine);
        counts->known++;
    }
    *mine = *count;
}

static bool free_count(const void *key, size_t key_len, void *value, void *arg)
{
    (void)key;
    (void)key_len;
    (void)arg;
    free(value);
    return true;
}

void sqlite_counts_forget(struct sqlite_counts *counts)
{
    if (counts->map) map_each(counts->map, free_count, NULL);
    map_free(&counts->map);
    counts->known = 0;
}
