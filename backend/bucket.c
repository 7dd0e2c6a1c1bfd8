#include "backend/bucket.h"

#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

enum { SET_BUCKETS = 8 };

/* Free, and as good as not there, when it is empty. */
struct bucket {
    uint64_t hash;
    int64_t empty_ms; /* when the last of it has run out */
};

struct buckets {
    size_t sets; /* a power of two */
    struct bucket all[];
};

struct buckets *buckets_new(size_t count)
{
    CHECK(count >= SET_BUCKETS && (count & (count - 1)) == 0);
    struct buckets *buckets = mem_alloc(sizeof(*buckets) + count * sizeof(struct bucket));
    buckets->sets = count / SET_BUCKETS;
    return buckets;
}

void buckets_free(struct buckets **buckets)
{
    free(*buckets);
    *buckets = NULL;
}

static size_t set_of(const struct buckets *buckets, uint64_t hash)
{
    return (size_t)(hash & (buckets->sets - 1)) * SET_BUCKETS;
}

static unsigned level(const struct bucket *bucket, int64_t interval_ms, int64_t now_ms)
{
    if (bucket->empty_ms <= now_ms) return 0;
    return (unsigned)((bucket->empty_ms - now_ms + interval_ms - 1) / interval_ms);
}

unsigned bucket_level(const struct buckets *buckets, uint64_t hash, int64_t interval_ms, int64_t now_ms)
{
    const struct bucket *set = &buckets->all[set_of(buckets, hash)];
    for (size_t i = 0; i < SET_BUCKETS; i++)
        if (set[i].hash == hash) return level(&set[i], interval_ms, now_ms);
    return 0;
}

/* Its own, or the one that costs least to forget. */
static struct bucket *place(struct buckets *buckets, uint64_t hash)
{
    struct bucket *set = &buckets->all[set_of(buckets, hash)], *best = set;
    for (size_t i = 0; i < SET_BUCKETS; i++) {
        if (set[i].hash == hash) return &set[i];
        if (set[i].empty_ms < best->empty_ms) best = &set[i];
    }
    return best;
}

unsigned bucket_add(struct buckets *buckets, uint64_t hash, int64_t interval_ms, int64_t now_ms)
{
    struct bucket *bucket = place(buckets, hash);
    if (bucket->hash != hash || bucket->empty_ms < now_ms) *bucket = (struct bucket){hash, now_ms};
    bucket->empty_ms += interval_ms;
    return level(bucket, interval_ms, now_ms);
}

void bucket_empty(struct buckets *buckets, uint64_t hash)
{
    struct bucket *bucket = place(buckets, hash);
    if (bucket->hash == hash) bucket->empty_ms = 0;
}

void buckets_empty(struct buckets *buckets)
{
    memset(buckets->all, 0, buckets->sets * SET_BUCKETS * sizeof(struct bucket));
}
