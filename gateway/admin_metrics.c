#include "gateway/admin_metrics.h"

#include "gateway/worker.h"
#include "lib/metrics.h"

#define PREFIX "postern_gateway"

static void write_build(struct buf *out)
{
    const struct metrics_label version = {"version", POSTERN_VERSION};
    metrics_family(out, PREFIX "_build_info", METRICS_GAUGE, "Always 1; the label says which version runs.");
    metrics_sample(out, PREFIX "_build_info", &version, 1, 1);
}

void admin_metrics_write(const struct worker *worker, struct buf *out)
{
    write_build(out);
    metrics_counters(out, worker->counters, PREFIX, "route");
}
