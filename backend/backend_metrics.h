/* backend_metrics - the page /metrics: every figure of the backend in Prometheus' text format. */
#ifndef POSTERN_BACKEND_BACKEND_METRICS_H
#define POSTERN_BACKEND_BACKEND_METRICS_H

#include "backend/s2s_gauges.h"
#include "lib/buf.h"

struct backend;

/* What the page is made from. */
struct backend_metrics {
    const struct backend *backend;
    struct s2s_gauges s2s; /* of all shards together */
};

/* backend_metrics_write - append the page; metrics is a struct backend_metrics *, and this is shard 0. */
void backend_metrics_write(const void *metrics, struct buf *out);

#endif
