#include "gateway/gateway_control.h"

#include "gateway/channel.h"
#include "gateway/conn.h"
#include "gateway/explain.h"
#include "gateway/gateway_views.h"
#include "gateway/generation.h"
#include "gateway/master.h"
#include "gateway/source.h"
#include "gateway/upstream_report.h"
#include "lib/control.h"
#include "lib/log.h"
#include "lib/mem.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void add_counter(const char *label, const struct counter_row *row, uint64_t value, void *arg)
{
    json_t *stats = arg;
    /* There may be ten thousand routes, and most have counted little. */
    if (value == 0 && label[0] != '\0') return;
    json_t *block = json_object_get(stats, label);
    if (block == NULL) {
        block = json_object();
        json_object_set_new(stats, label, block);
    }
    json_object_set_new(block, row->name, json_integer((json_int_t)value));
}

static void command_stats(struct control_request *request, void *arg)
{
    const struct master *master = arg;
    json_t *stats = json_object();
    counters_each(master->counters, add_counter, stats);
    control_reply(request, stats);
}

static json_t *describe_worker(const struct worker_place *place)
{
    json_t *status =
        json_pack("{s:i, s:b, s:i}", "pid", (int)place->pid, "ready", place->ready, "deaths", (int)place->deaths);
    const struct source_table *sources = place->generation->sources;
    const struct source_gauges *gauges = sources != NULL ? source_table_gauges(sources, place->source_region) : NULL;
    if (place->pid == 0 || gauges == NULL) return status;
    json_object_set_new(status, "connections", json_integer((json_int_t)atomic_load(&gauges->connections)));
    json_object_set_new(status, "probing", json_integer((json_int_t)atomic_load(&gauges->probing)));
    json_object_set_new(status, "probing_bytes", json_integer((json_int_t)atomic_load(&gauges->probing_bytes)));
    return status;
}

static json_t *describe_workers(const struct generation *generation)
{
    json_t *workers = json_array();
    for (size_t i = 0; generation != NULL && i < generation->place_count; i++)
        json_array_append_new(workers, describe_worker(&generation->places[i]));
    return workers;
}

/* Those whose generation does not serve any more, and that have connections. */
static json_t *describe_retired(const struct master *master)
{
    json_t *pids = json_array();
    LIST_EACH (link, &master->generations) {
        const struct generation *generation = LIST_ENTRY(link, struct generation, link);
        for (size_t i = 0; generation->state == GENERATION_RETIRED && i < generation->place_count; i++)
            if (generation->places[i].pid != 0) json_array_append_new(pids, json_integer(generation->places[i].pid));
    }
    return pids;
}

static void command_status(struct control_request *request, void *arg)
{
    const struct master *master = arg;
    json_int_t uptime_s = (loop_now_ms(master->loop) - master->started_ms) / 1000;
    json_int_t generation = master->serving != NULL ? (json_int_t)master->serving->number : 0;
    control_reply(request,
                  json_pack("{s:s, s:i, s:I, s:b, s:b, s:I, s:o, s:o, s:o}", "version", POSTERN_VERSION, "pid",
                            (int)getpid(), "uptime_s", uptime_s, "ready", master->ready, "stopping", master->stopping,
                            "generation", generation, "reload", reload_status(&master->reload), "workers",
                            describe_workers(master->serving), "retired", describe_retired(master)));
}

static void command_reload(struct control_request *request, void *arg)
{
    struct master *master = arg;
    reload_ask(&master->reload, request);
}

static void command_upgrade(struct control_request *request, void *arg)
{
    struct master *master = arg;
    upgrade_ask(&master->upgrade, request);
}

/* Who waits for an upgrade asks the program that follows once more, for its connection ends with this one. */
static void command_wait(struct control_request *request, void *arg)
{
    struct master *master = arg;
    if (master->upgrade.state != UPGRADE_IDLE)
        waiting_add(&master->upgrade.waiting, request);
    else
        reload_wait(&master->reload, request);
}

/* Without a limit but the one on every generation that accepts no more. */
static void command_drain(struct control_request *request, void *arg)
{
    struct master *master = arg;
    int64_t limit_ms = master->serving != NULL ? master->serving->hard_stop_after_ms : 0;
    if (!master->stopping) master_drain(master, limit_ms > 0 ? limit_ms : -1);
    control_reply(request, NULL);
}

enum {
    ASK_TIMEOUT_MS = 5000, /* for the workers; one that does not answer is stuck */
    LIST_LIMIT = 1000,     /* connections of a list, unless asked for otherwise */
    LIST_LIMIT_MAX = 20000,
};

/* Asks every worker; fn gets the answers and the request. */
static void ask_workers(const struct master *master, json_t *message, channel_answers_fn *fn,
                        struct control_request *request)
{
    size_t count;
    struct channel **channels = master_channels(master, &count);
    channel_ask(master->loop, channels, count, message, ASK_TIMEOUT_MS, fn, request);
    free(channels);
}

/* 0: what was asked for is no number that we would answer. */
static size_t list_limit(const struct control_request *request)
{
    const json_t *limit = json_object_get(control_args(request), "limit");
    json_int_t count = limit != NULL ? json_integer_value(limit) : LIST_LIMIT;
    return count >= 1 && count <= LIST_LIMIT_MAX ? (size_t)count : 0;
}

static void on_lists(const json_t *answers, void *arg)
{
    json_t *all = json_array(), *answer;
    json_int_t matched = 0, silent = 0;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)answers, i, answer)
    {
        if (json_is_null(answer)) silent++;
        json_int_t its = json_integer_value(json_object_get(answer, "matched"));
        if (its > 0 && its < INT32_MAX) matched += its; /* it may say anything */
        (void)json_array_extend(all, json_object_get(answer, "connections"));
    }
    for (size_t limit = list_limit(arg); json_array_size(all) > limit;)
        json_array_remove(all, json_array_size(all) - 1);
    control_reply(arg, json_pack("{s:I, s:I, s:o}", "matched", matched, "silent_workers", silent, "connections", all));
}

static void command_connections(struct control_request *request, void *arg)
{
    json_t *filter = json_object_get(control_args(request), "filter");
    size_t limit = list_limit(request);
    if (limit == 0) {
        control_fail(request, "usage", "expected a limit from 1 to %d", LIST_LIMIT_MAX);
        return;
    }
    if (filter != NULL && !json_is_object(filter)) {
        control_fail(request, "usage", "expected a filter: {\"name\": \"value\", …}");
        return;
    }
    json_t *message =
        json_pack("{s:s, s:I, s:O*}", "type", "connections", "limit", (json_int_t)limit, "filter", filter);
    ask_workers(arg, message, on_lists, request);
}

static void on_killed(const json_t *answers, void *arg)
{
    json_t *answer;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)answers, i, answer)
    {
        if (!json_is_true(answer)) continue;
        control_reply(arg, NULL);
        return;
    }
    control_fail(arg, "not-found", "no connection has this id now");
}

static void command_kill(struct control_request *request, void *arg)
{
    const char *text = control_arg_str(request, "id");
    char *end = NULL;
    errno = 0;
    uint64_t id = text != NULL ? strtoull(text, &end, 16) : 0;
    if (text == NULL || strlen(text) != CONN_ID_BYTES - 1 || *end != '\0' || errno != 0) {
        control_fail(request, "usage", "expected the id of a connection: %d hexadecimal digits", CONN_ID_BYTES - 1);
        return;
    }
    ask_workers(arg, json_pack("{s:s, s:I}", "type", "kill", "conn", (json_int_t)id), on_killed, request);
}

static void command_log_level(struct control_request *request, void *arg)
{
    static const char *const LEVELS[] = {"debug", "info", "warn", "error"};
    struct master *master = arg;
    const char *wanted = control_arg_str(request, "level");
    for (size_t level = 0; wanted != NULL && level < ARRAY_LEN(LEVELS); level++) {
        if (strcmp(LEVELS[level], wanted) != 0) continue;
        log_msg(LOG_LEVEL_WARN, "log_level", "%s, until the next reload or restart", wanted);
        log_set_level((enum log_level)level);
        master_tell(master, json_pack("{s:s, s:I}", "type", "log-level", "level", (json_int_t)level), -1);
        control_reply(request, NULL);
        return;
    }
    control_fail(request, "usage", "expected a level: debug, info, warn or error");
}

/* NULL: there are none yet. */
static struct upstream_state *serving_upstreams(const struct master *master)
{
    return master->serving != NULL ? master->serving->upstreams : NULL;
}

static void command_upstreams(struct control_request *request, void *arg)
{
    struct upstream_state *upstreams = serving_upstreams(arg);
    if (upstreams == NULL)
        control_fail(request, "unavailable", "no generation of this program serves yet");
    else
        control_reply(request, upstream_report(upstreams));
}

static void command_server(struct control_request *request, void *arg)
{
    struct upstream_state *upstreams = serving_upstreams(arg);
    const char *upstream = control_arg_str(request, "upstream"), *server = control_arg_str(request, "server");
    const char *admin = control_arg_str(request, "admin");
    const json_t *weight = json_object_get(control_args(request), "weight");
    char why[512];
    if (upstream == NULL || server == NULL || (admin != NULL) == json_is_integer(weight)) {
        control_fail(request, "usage", "expected upstream, server, and one of admin and weight");
        return;
    }
    if (upstreams == NULL) {
        control_fail(request, "unavailable", "no generation of this program serves yet");
        return;
    }
    int rc = admin != NULL ? upstream_report_set_admin(upstreams, upstream, server, admin, why, sizeof(why))
                           : upstream_report_set_weight(upstreams, upstream, server, json_integer_value(weight), why,
                                                        sizeof(why));
    if (rc < 0)
        control_fail(request, "not-found", "%s", why);
    else
        control_reply(request, NULL);
}

/* NULL while the generation that serves was made by the program before an upgrade. */
static const struct gateway_config *serving_config(const struct master *master, struct control_request *request)
{
    const struct gateway_config *config = master->serving != NULL ? master->serving->config : NULL;
    if (config == NULL) control_fail(request, "unavailable", "no generation of this program serves yet");
    return config;
}

static void command_routes(struct control_request *request, void *arg)
{
    const struct master *master = arg;
    const struct gateway_config *config = serving_config(master, request);
    if (config != NULL) control_reply(request, gateway_views_routes(config, master->counters));
}

static void command_certs(struct control_request *request, void *arg)
{
    const struct gateway_config *config = serving_config(arg, request);
    if (config != NULL) control_reply(request, gateway_views_certs(config));
}

static void command_explain(struct control_request *request, void *arg)
{
    const struct gateway_config *config = serving_config(arg, request);
    const struct explain_request wanted = {
        .listener = control_arg_str(request, "listener"),
        .source = control_arg_str(request, "source"),
        .destination = control_arg_str(request, "destination"),
        .inside = control_arg_str(request, "inside"),
        .sni = control_arg_str(request, "sni"),
        .alpn = control_arg_str(request, "alpn"),
        .tls_version = control_arg_str(request, "tls-version"),
        .hex = control_arg_str(request, "hex"),
        .silent = json_is_true(json_object_get(control_args(request), "silent")),
    };
    if (config == NULL) return;
    char error[512], *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    CHECK(out != NULL);
    int result = explain_run(&wanted, config, out, error, sizeof(error));
    fclose(out);
    json_t *answer = json_pack("{s:b, s:s}", "found", result == 0, "text", text);
    free(text);
    if (result >= 0 && answer != NULL) {
        control_reply(request, answer);
        return;
    }
    json_decref(answer);
    control_fail(request, "usage", "%s", result < 0 ? error : "the names in the configuration are not UTF-8");
}

static const struct control_command COMMANDS[] = {
    {"explain", "What the routes make of a connection, and why.", command_explain},
    {"stats", "Every counter of the whole gateway, and those of each route that are not 0.", command_stats},
    {"connections", "The connections under way, those that fit a filter.", command_connections},
    {"kill", "End one connection.", command_kill},
    {"log-level", "Log more or less, until the next reload or restart.", command_log_level},
    {"routes", "The routes in force, in their order.", command_routes},
    {"certs", "The certificates that are served, and until when they are valid.", command_certs},
    {"upstreams", "The servers to proxy to: health, load, what was set.", command_upstreams},
    {"server", "Set a server's state or weight.", command_server},
    {"reload", "Put the changed configuration in force.", command_reload},
    {"upgrade", "Run the program anew, in place.", command_upgrade},
    {"wait", "Wait for what is under way, and say how it went.", command_wait},
    {"drain", "Accept no more, end with the last connection.", command_drain},
    {"status", "Version, process ids, uptime.", command_status},
};

struct control *gateway_control_open(struct master *master, const char *path, char *why, size_t cap)
{
    return control_listen(master->loop, path, COMMANDS, ARRAY_LEN(COMMANDS), master, why, cap);
}

struct control *gateway_control_adopt(struct master *master, int fd, const char *path)
{
    return control_adopt(master->loop, fd, path, COMMANDS, ARRAY_LEN(COMMANDS), master);
}

void gateway_control_close(struct control **control)
{
    control_free(control);
}
