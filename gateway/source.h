/* source - what each source address holds and how often it connects, in memory that all workers share.
 *
 * A source is an IPv4 address, the /64 of an IPv6 address, or one circuit of Tor.  Each worker writes counts into a
 * region of its own and reads those of all; the rates are one table, changed by compare-and-swap.  Nobody ever waits
 * for a lock, and a worker that dies leaves nothing behind but its region, which the master clears.
 *
 * The tables are bounded: sets of eight cells, chosen by a hash under a key drawn at random, so that nobody can aim at
 * a set.  When a set is full, the source farthest from its limit is forgotten, and its limit fails open. */
#ifndef POSTERN_GATEWAY_SOURCE_H
#define POSTERN_GATEWAY_SOURCE_H

#include "lib/addr.h"
#include "lib/check.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct source_table;

/* source_table_new - for so many workers with so many connections each; there is room for the workers of several
 * generations at once.  Never NULL. */
struct source_table *source_table_new(size_t workers, size_t connections);
void source_table_free(struct source_table **table);

/* source_table_fits - whether it is large enough for these, so that a reload can keep it, with its rates. */
bool source_table_fits(const struct source_table *table, size_t workers, size_t connections);

/* For the master: source_table_take_region - a free region for a worker that is about to be forked; SOURCE_NO_REGION
 * when all are in use, and that worker then counts for itself alone.  source_table_clear_worker - its process is dead:
 * forget its counts; the region is free again. */
enum { SOURCE_NO_REGION = -1 };
MUSTCHECK int source_table_take_region(struct source_table *table);
void source_table_clear_worker(struct source_table *table, int region);

/* What a worker has at this moment; only the worker writes. */
struct source_gauges {
    _Atomic uint64_t connections;   /* that it holds */
    _Atomic uint64_t probing;       /* of these, undecided */
    _Atomic uint64_t probing_bytes; /* peeked of these and left in the kernel */
};

/* source_table_gauges - those of a region; NULL for SOURCE_NO_REGION. */
const struct source_gauges *source_table_gauges(const struct source_table *table, int region);

/* source_table_totals - the sums over all workers. */
struct source_totals {
    uint64_t connections, probing, probing_bytes, workers;
};
struct source_totals source_table_totals(const struct source_table *table);

/* A worker's view of the table. */
struct sources {
    struct source_table *table;
    struct source_region *own;
    struct source_gauges *gauges; /* of own */
    bool shared;                  /* own is one of the table's */
};

void sources_open(struct sources *sources, struct source_table *table, int region);
void sources_close(struct sources *sources);

/* source_key - what a source is counted under: a hash.  The address is known. */
uint64_t source_key(const struct sources *sources, const struct addr *address);

struct source_counts {
    uint32_t connections, probing;
};

/* source_counts - what a source holds in all workers. */
struct source_counts source_counts(const struct sources *sources, uint64_t key);

/* source_came - one connection more, undecided; source_decided, source_left - likewise one less.  They take back
 * what source_came added; what was forgotten meanwhile stays so. */
void source_came(struct sources *sources, uint64_t key);
void source_decided(struct sources *sources, uint64_t key);
void source_left(struct sources *sources, uint64_t key);

/* A rate: one connection each interval, and burst of them at once.  Generic cell rate algorithm (ITU-T I.371). */
struct source_rate {
    uint64_t interval_us;
    uint64_t burst; /* 0: no limit */
};

/* The longest time in which a burst may come back: the table's clock is short. */
#define SOURCE_RATE_MAX_US ((uint64_t)7 * 24 * 3600 * 1000000)

/* source_rate_take - whether the source may connect now; if so it counts.  now_ms is monotonic. */
MUSTCHECK bool source_rate_take(struct sources *sources, uint64_t key, const struct source_rate *rate, int64_t now_ms);

#endif
