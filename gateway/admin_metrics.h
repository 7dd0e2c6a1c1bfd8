/* admin_metrics - the page /metrics: every figure of the gateway in Prometheus' text format. */
#ifndef POSTERN_GATEWAY_ADMIN_METRICS_H
#define POSTERN_GATEWAY_ADMIN_METRICS_H

#include "lib/buf.h"

struct worker;

/* admin_metrics_write - append the page. */
void admin_metrics_write(const struct worker *worker, struct buf *out);

#endif
