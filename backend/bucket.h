/* bucket - leaky buckets for whoever is counted by a hash, in memory that does not grow.
 *
 * What is added to a bucket runs out at a steady rate.  The table has sets of a few buckets each, chosen by the hash;
 * when a set is full, the bucket that would be empty first is forgotten.  The caller locks, and takes hashes that
 * nobody outside can aim at a set (hash_bytes). */
#ifndef POSTERN_BACKEND_BUCKET_H
#define POSTERN_BACKEND_BUCKET_H

#include "lib/check.h"

#include <stddef.h>
#include <stdint.h>

struct buckets;

/* buckets_new - room for so many (a power of two, 8 at least), 16 bytes each, of the system's memory once touched. */
struct buckets *buckets_new(size_t count);
void buckets_free(struct buckets **buckets);

/* bucket_level - how much is in the bucket, rounded up, when one runs out each interval_ms (> 0). */
MUSTCHECK unsigned bucket_level(const struct buckets *buckets, uint64_t hash, int64_t interval_ms, int64_t now_ms);

/* bucket_add - put one in; returns the level with it. */
unsigned bucket_add(struct buckets *buckets, uint64_t hash, int64_t interval_ms, int64_t now_ms);

/* bucket_empty - forget what was put in. */
void bucket_empty(struct buckets *buckets, uint64_t hash);
void buckets_empty(struct buckets *buckets); /* all of them */

#endif
