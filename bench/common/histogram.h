/* histogram - counts of durations in buckets that are at most 1 % wide, whatever their size ("HDR").
 *
 * Below 128 ns a bucket is 1 ns wide; above, each power of two has 128 buckets. */
#ifndef POSTERN_BENCH_COMMON_HISTOGRAM_H
#define POSTERN_BENCH_COMMON_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

enum {
    HISTOGRAM_BITS = 7,
    HISTOGRAM_POWERS = 40, /* up to 2^40 ns, 18 minutes; what is longer counts as that */
    HISTOGRAM_BUCKETS = (HISTOGRAM_POWERS - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS,
};

/* All zero is empty. */
struct histogram {
    uint64_t count;
    int64_t min_ns, max_ns; /* exact */
    uint32_t buckets[HISTOGRAM_BUCKETS];
};

/* histogram_bucket - index of the bucket of a duration; less than 0 counts as 0. */
unsigned histogram_bucket(int64_t ns);

/* histogram_value - the middle of a bucket, in nanoseconds. */
double histogram_value(unsigned bucket);

void histogram_add(struct histogram *histogram, int64_t ns);

/* histogram_quantile - the duration, in nanoseconds, that a part (0 to 1) of all do not exceed; 0 when it is empty. */
double histogram_quantile(const struct histogram *histogram, double part);

/* histogram_print - as JSON: {"count": …, "min_us": …, "p50_us": …, …, "max_us": …, "histogram": [[us, count], …]}. */
void histogram_print(const struct histogram *histogram, FILE *to);

#endif
