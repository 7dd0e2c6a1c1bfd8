#include "backend/newcomers.h"

#include "lib/map.h"
#include "lib/mem.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { NEWCOMERS_CELLS = 16384 }; /* a power of 2 */

struct newcomers {
    _Atomic unsigned first[NEWCOMERS_CELLS], second[NEWCOMERS_CELLS];
};

struct newcomers *newcomers_new(void)
{
    return MEM_NEW(struct newcomers);
}

void newcomers_free(struct newcomers **newcomers)
{
    free(*newcomers);
    *newcomers = NULL;
}

/* false: it has no address. */
static bool find(struct newcomers *newcomers, const struct addr *peer, _Atomic unsigned **first,
                 _Atomic unsigned **second)
{
    const uint8_t *bytes = NULL;
    const size_t len = addr_source(peer, &bytes);
    if (len == 0) return false;
    const uint64_t hash = hash_bytes(bytes, len);
    *first = &newcomers->first[hash % NEWCOMERS_CELLS];
    *second = &newcomers->second[(hash >> 32) % NEWCOMERS_CELLS];
    return true;
}

bool newcomers_enter(struct newcomers *newcomers, const struct addr *peer, unsigned limit)
{
    _Atomic unsigned *first = NULL, *second = NULL;
    if (!find(newcomers, peer, &first, &second)) return true;
    if (limit > 0 && atomic_load(first) >= limit && atomic_load(second) >= limit) return false;
    atomic_fetch_add(first, 1);
    atomic_fetch_add(second, 1);
    return true;
}

void newcomers_leave(struct newcomers *newcomers, const struct addr *peer)
{
    _Atomic unsigned *first = NULL, *second = NULL;
    if (!find(newcomers, peer, &first, &second)) return;
    atomic_fetch_sub(first, 1);
    atomic_fetch_sub(second, 1);
}
