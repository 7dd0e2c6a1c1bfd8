#include "gateway/source.h"

#include "lib/map.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    CELLS = 8, /* in a set: one cache line */
    PAGE_BYTES = 4096,
    CELLS_PER_CONNECTION = 4, /* a set is full with 8 sources; with 2 on average hardly ever */
    GENERATIONS = 4,          /* that may run at once during reloads */
    RATE_SETS = 8192,         /* 65,536 sources in half a megabyte */
    CLOCKS_APART_S = 10,      /* each worker has the time of when its turn began */
};

/* A cell of counts, in one word so that others never read half of it: 24 bits of the hash, connections, probing (20
 * bits each; a worker holds a million at most).  Free when connections is 0.
 * A cell of rates: 22 bits of the hash, and in units of 4 us the time at which the whole burst is back.  The clock
 * turns over every 203 days; a time farther ahead than a burst can bring it, on a clock that is ahead of ours, has
 * passed. */
enum { COUNT_BITS = 20, CLOCK_BITS = 42, UNIT_US = 4, UNITS_PER_MS = 1000 / UNIT_US };
static const uint64_t COUNT_MASK = ((uint64_t)1 << COUNT_BITS) - 1;
static const uint64_t CLOCK_MASK = ((uint64_t)1 << CLOCK_BITS) - 1;

typedef _Atomic uint64_t source_cell;

struct source_region {
    struct source_gauges gauges;
    _Alignas(64) source_cell sets[][CELLS];
};

/* The shared memory: this head, then region_count regions of region_bytes. */
struct source_head {
    uint64_t hash_key[2];
    _Alignas(64) source_cell rates[RATE_SETS][CELLS];
    _Alignas(64) _Atomic bool in_use[]; /* by region; written by the master */
};

struct source_table {
    struct source_head *head;
    uint8_t *regions;
    size_t set_count; /* a power of two */
    size_t region_count, region_bytes, size_bytes;
};

static size_t power_of_two(size_t at_least)
{
    size_t n = 1;
    while (n < at_least)
        n *= 2;
    return n;
}

static size_t whole_pages(size_t bytes)
{
    return (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

static size_t sets_for(size_t connections)
{
    return power_of_two(connections * CELLS_PER_CONNECTION / CELLS);
}

static size_t regions_for(size_t workers)
{
    return power_of_two(workers * GENERATIONS);
}

/* A page that nobody has written takes no memory. */
static void *map_shared(size_t size_bytes)
{
    int fd = memfd_create("postern-sources", MFD_CLOEXEC);
    CHECK(fd >= 0);
    int rc = ftruncate(fd, (off_t)size_bytes);
    CHECK(rc == 0);
    void *p = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    close(fd);
    return p;
}

struct source_table *source_table_new(size_t workers, size_t connections)
{
    struct source_table *table = MEM_NEW(struct source_table);
    table->set_count = sets_for(connections);
    table->region_count = regions_for(workers);
    table->region_bytes = whole_pages(sizeof(struct source_region) + table->set_count * sizeof(source_cell[CELLS]));
    size_t head_bytes = whole_pages(sizeof(struct source_head) + table->region_count * sizeof(bool));
    table->size_bytes = head_bytes + table->region_count * table->region_bytes;
    table->head = map_shared(table->size_bytes);
    table->regions = (uint8_t *)table->head + head_bytes;
    CHECK(getrandom(table->head->hash_key, sizeof(table->head->hash_key), 0) == sizeof(table->head->hash_key));
    return table;
}

void source_table_free(struct source_table **table)
{
    struct source_table *old = *table;
    *table = NULL;
    if (old == NULL) return;
    munmap(old->head, old->size_bytes);
    free(old);
}

bool source_table_fits(const struct source_table *table, size_t workers, size_t connections)
{
    return table->set_count >= sets_for(connections) && table->region_count >= regions_for(workers);
}

static struct source_region *region_at(const struct source_table *table, size_t region)
{
    return (struct source_region *)(void *)(table->regions + region * table->region_bytes);
}

int source_table_take_region(struct source_table *table)
{
    for (size_t i = 0; i < table->region_count; i++) {
        if (atomic_load_explicit(&table->head->in_use[i], memory_order_relaxed)) continue;
        atomic_store_explicit(&table->head->in_use[i], true, memory_order_release);
        return (int)i;
    }
    return SOURCE_NO_REGION;
}

void source_table_clear_worker(struct source_table *table, int region)
{
    if (region == SOURCE_NO_REGION) return;
    struct source_region *old = region_at(table, (size_t)region);
    /* Gives the memory back, too; zeroes are what is read there from then on. */
    if (madvise(old, table->region_bytes, MADV_REMOVE) < 0) memset((void *)old, 0, table->region_bytes);
    atomic_store_explicit(&table->head->in_use[region], false, memory_order_release);
}

const struct source_gauges *source_table_gauges(const struct source_table *table, int region)
{
    return region == SOURCE_NO_REGION ? NULL : &region_at(table, (size_t)region)->gauges;
}

struct source_totals source_table_totals(const struct source_table *table)
{
    struct source_totals sum = {0};
    for (size_t i = 0; i < table->region_count; i++) {
        if (!atomic_load_explicit(&table->head->in_use[i], memory_order_acquire)) continue;
        const struct source_gauges *gauges = &region_at(table, i)->gauges;
        sum.connections += atomic_load_explicit(&gauges->connections, memory_order_relaxed);
        sum.probing += atomic_load_explicit(&gauges->probing, memory_order_relaxed);
        sum.probing_bytes += atomic_load_explicit(&gauges->probing_bytes, memory_order_relaxed);
        sum.workers++;
    }
    return sum;
}

void sources_open(struct sources *sources, struct source_table *table, int region)
{
    sources->table = table;
    sources->shared = region != SOURCE_NO_REGION;
    sources->own = sources->shared ? region_at(table, (size_t)region) : aligned_alloc(PAGE_BYTES, table->region_bytes);
    CHECK(sources->own != NULL);
    if (!sources->shared) memset((void *)sources->own, 0, table->region_bytes);
    sources->gauges = &sources->own->gauges;
}

void sources_close(struct sources *sources)
{
    if (!sources->shared) free(sources->own);
    sources->own = NULL;
    sources->gauges = NULL;
}

uint64_t source_key(const struct sources *sources, const struct addr *address)
{
    const uint8_t *bytes = NULL;
    const size_t len = addr_source(address, &bytes);
    CHECK(len > 0);
    return hash_keyed(sources->table->head->hash_key, bytes, len);
}

static source_cell *set_of(const struct source_table *table, struct source_region *region, uint64_t key)
{
    return region->sets[(key >> 32) & (table->set_count - 1)];
}

static uint64_t count_tag(uint64_t key)
{
    return key << (2 * COUNT_BITS);
}

static bool is_counted(uint64_t cell, uint64_t key)
{
    return cell >> (2 * COUNT_BITS) == count_tag(key) >> (2 * COUNT_BITS) && (cell >> COUNT_BITS & COUNT_MASK) != 0;
}

static void add_counts(source_cell *set, uint64_t key, struct source_counts *sum)
{
    for (size_t i = 0; i < CELLS; i++) {
        uint64_t cell = atomic_load_explicit(&set[i], memory_order_relaxed);
        if (!is_counted(cell, key)) continue;
        sum->connections += (uint32_t)(cell >> COUNT_BITS & COUNT_MASK);
        sum->probing += (uint32_t)(cell & COUNT_MASK);
        return;
    }
}

struct source_counts source_counts(const struct sources *sources, uint64_t key)
{
    const struct source_table *table = sources->table;
    struct source_counts sum = {0};
    for (size_t i = 0; i < table->region_count; i++)
        if (atomic_load_explicit(&table->head->in_use[i], memory_order_acquire))
            add_counts(set_of(table, region_at(table, i), key), key, &sum);
    if (!sources->shared) add_counts(set_of(table, sources->own, key), key, &sum);
    return sum;
}

/* The worker's own cell for a source, or NULL. */
static source_cell *own_cell(const struct sources *sources, uint64_t key)
{
    source_cell *set = set_of(sources->table, sources->own, key);
    for (size_t i = 0; i < CELLS; i++)
        if (is_counted(atomic_load_explicit(&set[i], memory_order_relaxed), key)) return &set[i];
    return NULL;
}

/* A free cell, or that of the source which has the fewest connections. */
static source_cell *cheapest_cell(const struct sources *sources, uint64_t key)
{
    source_cell *set = set_of(sources->table, sources->own, key), *best = NULL;
    uint64_t fewest = UINT64_MAX;
    for (size_t i = 0; i < CELLS; i++) {
        uint64_t connections = atomic_load_explicit(&set[i], memory_order_relaxed) >> COUNT_BITS & COUNT_MASK;
        if (connections >= fewest) continue;
        fewest = connections;
        best = &set[i];
    }
    return best;
}

void source_came(struct sources *sources, uint64_t key)
{
    source_cell *cell = own_cell(sources, key);
    uint64_t connections = 0, probing = 0;
    if (cell == NULL) {
        cell = cheapest_cell(sources, key);
    } else {
        uint64_t old = atomic_load_explicit(cell, memory_order_relaxed);
        connections = old >> COUNT_BITS & COUNT_MASK;
        probing = old & COUNT_MASK;
    }
    if (connections < COUNT_MASK) connections++;
    if (probing < COUNT_MASK) probing++;
    atomic_store_explicit(cell, count_tag(key) | connections << COUNT_BITS | probing, memory_order_relaxed);
}

void source_decided(struct sources *sources, uint64_t key)
{
    source_cell *cell = own_cell(sources, key);
    if (cell == NULL) return;
    uint64_t old = atomic_load_explicit(cell, memory_order_relaxed);
    if ((old & COUNT_MASK) > 0) atomic_store_explicit(cell, old - 1, memory_order_relaxed);
}

void source_left(struct sources *sources, uint64_t key)
{
    source_cell *cell = own_cell(sources, key);
    if (cell == NULL) return;
    uint64_t old = atomic_load_explicit(cell, memory_order_relaxed);
    atomic_store_explicit(cell, old - ((uint64_t)1 << COUNT_BITS), memory_order_relaxed);
}

static uint64_t rate_tag(uint64_t key)
{
    return key << CLOCK_BITS;
}

/* How far ahead of now the cell's time lies; 0 when it has passed. */
static uint64_t ahead_of(uint64_t cell, uint64_t now, uint64_t most)
{
    uint64_t ahead = (cell - now) & CLOCK_MASK;
    return ahead <= most + (uint64_t)CLOCKS_APART_S * 1000 * UNITS_PER_MS ? ahead : 0;
}

/* The source's cell, or that of the source which is nearest to its whole burst; *ahead is the source's own. */
static source_cell *rate_cell(source_cell *set, uint64_t key, uint64_t now, uint64_t most, uint64_t *old,
                              uint64_t *ahead)
{
    source_cell *best = NULL;
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < CELLS; i++) {
        uint64_t cell = atomic_load_explicit(&set[i], memory_order_relaxed);
        uint64_t its = ahead_of(cell, now, most);
        if (its != 0 && (cell & ~CLOCK_MASK) == rate_tag(key)) {
            *old = cell;
            *ahead = its;
            return &set[i];
        }
        if (its >= least) continue;
        least = its;
        best = &set[i];
        *old = cell;
    }
    *ahead = 0;
    return best;
}

bool source_rate_take(struct sources *sources, uint64_t key, const struct source_rate *rate, int64_t now_ms)
{
    source_cell *set = sources->table->head->rates[(key >> 32) & (RATE_SETS - 1)];
    uint64_t now = (uint64_t)now_ms * UNITS_PER_MS & CLOCK_MASK, interval = rate->interval_us / UNIT_US;
    uint64_t most = interval * rate->burst;
    for (;;) {
        uint64_t old = 0, ahead = 0;
        source_cell *cell = rate_cell(set, key, now, most, &old, &ahead);
        if (ahead + interval > most) return false;
        uint64_t wanted = rate_tag(key) | ((now + ahead + interval) & CLOCK_MASK);
        if (atomic_compare_exchange_weak_explicit(cell, &old, wanted, memory_order_relaxed, memory_order_relaxed))
            return true;
    }
}
