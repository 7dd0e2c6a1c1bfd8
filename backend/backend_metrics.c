#include "backend/backend_metrics.h"

#include "backend/dispatch.h"
#include "backend/shard.h"
#include "lib/metrics.h"

#include <time.h>

#define PREFIX       "postern_backend"
#define CERTIFICATES PREFIX "_certificate_not_after_seconds"
#define HANDLED      PREFIX "_handled_total"

static void write_gauge(struct buf *out, const char *name, uint64_t value, const char *help)
{
    metrics_family(out, name, METRICS_GAUGE, help);
    metrics_sample(out, name, NULL, 0, (int64_t)value);
}

static void write_certificate(const struct host *host, void *out)
{
    struct tm tm = {0};
    const X509 *leaf = host->tls ? SSL_CTX_get0_certificate(host->tls) : NULL;
    const struct metrics_label label = {"host", host->domain};
    if (!leaf || ASN1_TIME_to_tm(X509_get0_notAfter(leaf), &tm) != 1) return;
    metrics_sample(out, CERTIFICATES, &label, 1, (int64_t)timegm(&tm));
}

static void write_handled(const char *ns, uint64_t count, void *out)
{
    const struct metrics_label label = {"namespace", ns};
    metrics_sample(out, HANDLED, &label, 1, (int64_t)count);
}

static void write_s2s(const struct s2s_gauges *gauges, struct buf *out)
{
    const struct metrics_label in = {"direction", "in"}, outgoing = {"direction", "out"};
    metrics_family(out, PREFIX "_s2s_open_streams", METRICS_GAUGE, "Streams with other servers that are open now.");
    metrics_sample(out, PREFIX "_s2s_open_streams", &in, 1, (int64_t)gauges->in);
    metrics_sample(out, PREFIX "_s2s_open_streams", &outgoing, 1, (int64_t)gauges->out);
    write_gauge(out, PREFIX "_s2s_queue_messages", gauges->queued,
                "Messages that wait in the store for other servers.");
    write_gauge(out, PREFIX "_s2s_queue_bytes", gauges->queued_bytes, "Their size.");
    write_gauge(out, PREFIX "_s2s_failing_domains", gauges->failing,
                "Domains that could not be reached the last time.");
}

void backend_metrics_write(const void *arg, struct buf *out)
{
    const struct backend_metrics *metrics = arg;
    const struct backend *backend = metrics->backend;
    const struct metrics_label version = {"version", POSTERN_VERSION};
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    metrics_family(out, PREFIX "_build_info", METRICS_GAUGE, "Always 1; the label says which version runs.");
    metrics_sample(out, PREFIX "_build_info", &version, 1, 1);
    write_gauge(out, PREFIX "_uptime_seconds", (uint64_t)(now.tv_sec - backend->started_s), "Since the start.");
    write_gauge(out, PREFIX "_shards", backend->shard_count, "Threads that own users and streams.");
    write_gauge(out, PREFIX "_connections", atomic_load(&backend->streams), "Streams now, in whatever state.");
    write_gauge(out, PREFIX "_sessions", atomic_load(&backend->sessions), "Bound resources now.");
    write_s2s(&metrics->s2s, out);
    metrics_family(out, CERTIFICATES, METRICS_GAUGE, "When a host's certificate ends, in seconds since 1970.");
    hosts_each(shard_hosts(backend->shards[0]), write_certificate, out);
    metrics_family(out, HANDLED, METRICS_COUNTER, "Stanzas that asked for what the namespace stands for.");
    dispatch_each_count(write_handled, out);
    metrics_counters(out, backend->counter_set, PREFIX, "");
}
