#include "bench/common/histogram.h"

enum { STEPS = 1 << HISTOGRAM_BITS };

unsigned histogram_bucket(int64_t ns)
{
    if (ns < 0) return 0;
    if (ns < STEPS) return (unsigned)ns;
    unsigned power = 63 - (unsigned)__builtin_clzll((unsigned long long)ns);
    if (power >= HISTOGRAM_POWERS) return HISTOGRAM_BUCKETS - 1;
    unsigned shift = power - HISTOGRAM_BITS;
    return ((shift + 1) << HISTOGRAM_BITS) + ((unsigned)(ns >> shift) & (STEPS - 1));
}

double histogram_value(unsigned bucket)
{
    if (bucket < STEPS) return bucket;
    unsigned shift = (bucket >> HISTOGRAM_BITS) - 1;
    uint64_t first = (uint64_t)(STEPS + (bucket & (STEPS - 1))) << shift, width = (uint64_t)1 << shift;
    return (double)first + (double)(width - 1) / 2;
}

void histogram_add(struct histogram *histogram, int64_t ns)
{
    if (ns < 0) ns = 0;
    if (histogram->count++ == 0 || ns < histogram->min_ns) histogram->min_ns = ns;
    if (ns > histogram->max_ns) histogram->max_ns = ns;
    histogram->buckets[histogram_bucket(ns)]++;
}

double histogram_quantile(const struct histogram *histogram, double part)
{
    uint64_t rank = (uint64_t)(part * (double)histogram->count), seen = 0;
    if (histogram->count == 0) return 0;
    if (rank >= histogram->count) return (double)histogram->max_ns;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen <= rank) continue;
        double value = histogram_value(i);
        if (value > (double)histogram->max_ns) return (double)histogram->max_ns;
        return value < (double)histogram->min_ns ? (double)histogram->min_ns : value;
    }
    return (double)histogram->max_ns;
}

void histogram_print(const struct histogram *histogram, FILE *to)
{
    static const struct {
        const char *name;
        double part;
    } quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};
    fprintf(to, "{\"count\": %llu, \"min_us\": %.3f", (unsigned long long)histogram->count,
            (double)histogram->min_ns / 1e3);
    for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++)
        fprintf(to, ", \"%s_us\": %.3f", quantiles[i].name, histogram_quantile(histogram, quantiles[i].part) / 1e3);
    fprintf(to, ", \"max_us\": %.3f, \"histogram\": [", (double)histogram->max_ns / 1e3);
    const char *comma = "";
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (histogram->buckets[i] == 0) continue;
        fprintf(to, "%s[%.3f, %u]", comma, histogram_value(i) / 1e3, histogram->buckets[i]);
        comma = ", ";
    }
    fputs("]}", to);
}
