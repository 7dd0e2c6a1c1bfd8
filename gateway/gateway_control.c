#include "gateway/gateway_control.h"

#include "gateway/channel.h"
#include "gateway/conn.h"
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

static json_t *worker_status(const struct master *master, const struct master_worker *worker)
{
    json_t *status =
        json_pack("{s:i, s:b, s:i}", "pid", (int)worker->pid, "ready", worker->ready, "deaths", (int)worker->deaths);
    const struct source_gauges *gauges = source_table_gauges(master->sources, worker->source_region);
    if (worker->pid == 0 || gauges == NULL) return status;
    json_object_set_new(status, "connections", json_integer((json_int_t)atomic_load(&gauges->connections)));
    json_object_set_new(status, "probing", json_integer((json_int_t)atomic_load(&gauges->probing)));
    json_object_set_new(status, "probing_bytes", json_integer((json_int_t)atomic_load(&gauges->probing_bytes)));
    return status;
}

static void command_status(struct control_request *request, void *arg)
{
    const struct master *master = arg;
    json_t *workers = json_array();
    for (size_t i = 0; i < master->config->workers; i++) {
        const struct master_worker *worker = &master->workers[i];
        json_array_append_new(workers, worker_status(master, worker));
    }
    json_int_t uptime_s = (loop_now_ms(master->loop) - master->started_ms) / 1000;
    control_reply(request, json_pack("{s:s, s:i, s:I, s:b, s:o}", "version", POSTERN_VERSION, "pid", (int)getpid(),
                                     "uptime_s", uptime_s, "ready", master->ready, "workers", workers));
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
    struct channel **channels = mem_alloc((master->config->workers + 1) * sizeof(struct channel *));
    size_t count = 0;
    for (size_t i = 0; i < master->config->workers; i++)
        if (master->workers[i].channel != NULL) channels[count++] = master->workers[i].channel;
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
        matched += json_integer_value(json_object_get(answer, "matched"));
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
    const struct master *master = arg;
    const char *wanted = control_arg_str(request, "level");
    for (size_t level = 0; wanted != NULL && level < ARRAY_LEN(LEVELS); level++) {
        if (strcmp(LEVELS[level], wanted) != 0) continue;
        log_msg(LOG_LEVEL_WARN, "log_level", "%s, until the next reload or restart", wanted);
        log_set_level((enum log_level)level);
        for (size_t i = 0; i < master->config->workers; i++)
            if (master->workers[i].channel != NULL)
                (void)channel_send(master->workers[i].channel,
                                   json_pack("{s:s, s:I}", "type", "log-level", "level", (json_int_t)level), -1);
        control_reply(request, NULL);
        return;
    }
    control_fail(request, "usage", "expected a level: debug, info, warn or error");
}

static void command_upstreams(struct control_request *request, void *arg)
{
    const struct master *master = arg;
    control_reply(request, upstream_report(master->upstreams));
}

static void command_server(struct control_request *request, void *arg)
{
    const struct master *master = arg;
    const char *upstream = control_arg_str(request, "upstream"), *server = control_arg_str(request, "server");
    const char *admin = control_arg_str(request, "admin");
    const json_t *weight = json_object_get(control_args(request), "weight");
    char why[512];
    if (upstream == NULL || server == NULL || (admin != NULL) == json_is_integer(weight)) {
        control_fail(request, "usage", "expected upstream, server, and one of admin and weight");
        return;
    }
    int rc = admin != NULL ? upstream_report_set_admin(master->upstreams, upstream, server, admin, why, sizeof(why))
                           : upstream_report_set_weight(master->upstreams, upstream, server, json_integer_value(weight),
                                                        why, sizeof(why));
    if (rc < 0)
        control_fail(request, "not-found", "%s", why);
    else
        control_reply(request, NULL);
}

static const struct control_command COMMANDS[] = {
    {"stats", "Every counter, of the whole gateway and of each route.", command_stats},
    {"connections", "The connections under way, those that fit a filter.", command_connections},
    {"kill", "End one connection.", command_kill},
    {"log-level", "Log more or less, until the next reload or restart.", command_log_level},
    {"upstreams", "The servers to proxy to: health, load, what was set.", command_upstreams},
    {"server", "Set a server's state or weight.", command_server},
    {"status", "Version, process ids, uptime.", command_status},
};

struct control *gateway_control_open(struct master *master, const char *path, char *why, size_t cap)
{
    return control_listen(master->loop, path, COMMANDS, ARRAY_LEN(COMMANDS), master, why, cap);
}

void gateway_control_close(struct control **control)
{
    control_free(control);
}
