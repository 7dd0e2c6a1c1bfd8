/* backend_metrics - the page /metrics: every figure of the backend in Prometheus' text format. */
#ifndef POSTERN_BACKEND_BACKEND_METRICS_H
#define POSTERN_BACKEND_BACKEND_METRICS_H

#include "lib/buf.h"

/* backend_metrics_write - append the page; backend is a struct backend *, and this is shard 0. */
void backend_metrics_write(const void *backend, struct buf *out);

#endif
