#include "gateway/admin_metrics.h"

#include "gateway/source.h"
#include "gateway/tls_certs.h"
#include "gateway/tls_service.h"
#include "gateway/upstream_report.h"
#include "gateway/worker.h"
#include "lib/metrics.h"

#include <string.h>

#define PREFIX       "postern_gateway"
#define CERTIFICATES PREFIX "_certificate_not_after_seconds"

static const char *text_or_empty(const json_t *value)
{
    const char *text = json_string_value(value);
    return text != NULL ? text : "";
}

static void write_build(struct buf *out)
{
    const struct metrics_label version = {"version", POSTERN_VERSION};
    metrics_family(out, PREFIX "_build_info", METRICS_GAUGE, "Always 1; the label says which version runs.");
    metrics_sample(out, PREFIX "_build_info", &version, 1, 1);
}

static void write_gauge(struct buf *out, const char *name, uint64_t value, const char *help)
{
    metrics_family(out, name, METRICS_GAUGE, help);
    metrics_sample(out, name, NULL, 0, (int64_t)value);
}

static void write_load(const struct worker *worker, struct buf *out)
{
    struct source_totals now = source_table_totals(worker->limits.sources.table);
    write_gauge(out, PREFIX "_workers", now.workers, "Worker processes, those that only finish their connections too.");
    write_gauge(out, PREFIX "_connections", now.connections, "Connections that the gateway holds now.");
    write_gauge(out, PREFIX "_probing_connections", now.probing, "Of these, those without a route yet.");
    write_gauge(out, PREFIX "_probing_bytes", now.probing_bytes, "Bytes of these that wait to be decided on.");
}

/* What upstream_report says of a server, as figures. */
static int64_t server_is_up(const json_t *server)
{
    const char *state = json_string_value(json_object_get(server, "state"));
    const char *admin = json_string_value(json_object_get(server, "admin"));
    return strcmp(state, "up") == 0 && strcmp(admin, "ready") == 0;
}

static int64_t server_connections(const json_t *server)
{
    return json_integer_value(json_object_get(server, "connections"));
}

static int64_t server_weight(const json_t *server)
{
    return json_integer_value(json_object_get(server, "weight"));
}

static int64_t server_total(const json_t *server)
{
    return json_integer_value(json_object_get(server, "total"));
}

static int64_t server_failures(const json_t *server)
{
    return json_integer_value(json_object_get(server, "failures"));
}

static const struct server_figure {
    const char *name;
    enum metrics_type type;
    int64_t (*value)(const json_t *server);
    const char *help;
} SERVER_FIGURES[] = {
    {PREFIX "_server_up", METRICS_GAUGE, server_is_up, "1: new connections may go to the server."},
    {PREFIX "_server_connections", METRICS_GAUGE, server_connections, "Connections to the server now."},
    {PREFIX "_server_weight", METRICS_GAUGE, server_weight, "The weight in force."},
    {PREFIX "_server_connections_total", METRICS_COUNTER, server_total, "Connections begun."},
    {PREFIX "_server_failures_total", METRICS_COUNTER, server_failures, "Connections that could not be made."},
};

static void write_figure(const struct server_figure *figure, const json_t *upstreams, struct buf *out)
{
    const json_t *upstream, *server;
    size_t i, j;
    metrics_family(out, figure->name, figure->type, figure->help);
    json_array_foreach(upstreams, i, upstream)
    {
        json_array_foreach(json_object_get(upstream, "servers"), j, server)
        {
            const struct metrics_label labels[] = {
                {"upstream", json_string_value(json_object_get(upstream, "upstream"))},
                {"server", json_string_value(json_object_get(server, "server"))}};
            metrics_sample(out, figure->name, labels, ARRAY_LEN(labels), figure->value(server));
        }
    }
}

static void write_upstreams(const struct worker *worker, struct buf *out)
{
    const json_t *upstream;
    size_t i;
    json_t *report = upstream_report(worker->upstream_state);
    if (json_array_size(report) > 0) {
        for (size_t f = 0; f < ARRAY_LEN(SERVER_FIGURES); f++)
            write_figure(&SERVER_FIGURES[f], report, out);
        metrics_family(out, PREFIX "_upstream_waiting", METRICS_GAUGE, "Connections that wait for a server.");
        json_array_foreach(report, i, upstream)
        {
            const struct metrics_label label = {"upstream", json_string_value(json_object_get(upstream, "upstream"))};
            metrics_sample(out, PREFIX "_upstream_waiting", &label, 1,
                           json_integer_value(json_object_get(upstream, "waiting")));
        }
    }
    json_decref(report);
}

/* One sample for each certificate, under its first name. */
static void write_section(const struct tls_service *service, struct buf *out)
{
    json_t *certs = tls_certs_list(tls_service_certs(service)), *cert;
    size_t i;
    json_array_foreach(certs, i, cert)
    {
        const struct metrics_label labels[] = {
            {"tls", tls_service_config(service)->name},
            {"name", text_or_empty(json_array_get(json_object_get(cert, "names"), 0))},
            {"key", text_or_empty(json_object_get(cert, "key"))},
            {"file", text_or_empty(json_object_get(cert, "file"))}};
        metrics_sample(out, CERTIFICATES, labels, ARRAY_LEN(labels),
                       json_integer_value(json_object_get(cert, "not_after")));
    }
    json_decref(certs);
}

static void write_certs(const struct worker *worker, struct buf *out)
{
    if (worker->config->tls_count == 0) return;
    metrics_family(out, CERTIFICATES, METRICS_GAUGE, "When a certificate ends, in seconds since 1970.");
    for (size_t i = 0; i < worker->config->tls_count; i++)
        write_section(worker->tls[i], out);
}

void admin_metrics_write(const struct worker *worker, struct buf *out)
{
    write_build(out);
    write_load(worker, out);
    write_upstreams(worker, out);
    write_certs(worker, out);
    metrics_counters(out, worker->counters, PREFIX, "route");
}
