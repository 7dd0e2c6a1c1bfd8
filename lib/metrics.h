/* metrics - figures in the text format that Prometheus reads.
 *
 * Source: Prometheus, exposition formats, text-based format 0.0.4. */
#ifndef POSTERN_LIB_METRICS_H
#define POSTERN_LIB_METRICS_H

#include "lib/buf.h"
#include "lib/counter.h"

#include <stddef.h>
#include <stdint.h>

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct metrics_label {
    const char *name;
    const char *value; /* any bytes: what is not UTF-8 is replaced */
};

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE };

/* metrics_family - begin a family: its samples follow directly.  The name of a counter ends in "_total". */
void metrics_family(struct buf *out, const char *name, enum metrics_type type, const char *help);

/* metrics_sample - one sample of the family name; labels may be NULL when label_count is 0. */
void metrics_sample(struct buf *out, const char *name, const struct metrics_label *labels, size_t label_count,
                    int64_t value);

/* metrics_counters - every row of counters, as two families: PREFIX_NAME_total for the whole process (label ""), and
 * PREFIX_BY_NAME_total{BY="label"} for each other label.  Of the latter, what stands at 0 is left out. */
void metrics_counters(struct buf *out, const struct counters *counters, const char *prefix, const char *by);

#endif
