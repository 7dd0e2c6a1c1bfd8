#include "gateway/gateway_control.h"

#include "gateway/master.h"
#include "lib/control.h"

#include <stdbool.h>
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

static void command_status(struct control_request *request, void *arg)
{
    const struct master *master = arg;
    json_t *workers = json_array();
    for (size_t i = 0; i < master->config->workers; i++) {
        const struct master_worker *worker = &master->workers[i];
        json_array_append_new(workers, json_pack("{s:i, s:b, s:i}", "pid", (int)worker->pid, "ready", worker->ready,
                                                 "deaths", (int)worker->deaths));
    }
    json_int_t uptime_s = (loop_now_ms(master->loop) - master->started_ms) / 1000;
    control_reply(request, json_pack("{s:s, s:i, s:I, s:b, s:o}", "version", POSTERN_VERSION, "pid", (int)getpid(),
                                     "uptime_s", uptime_s, "ready", master->ready, "workers", workers));
}

static const struct control_command COMMANDS[] = {
    {"stats", "Every counter, of the whole gateway and of each route.", command_stats},
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
