#include "backend/control_server.h"

#include "backend/backend.h"
#include "backend/backend_reload.h"
#include "backend/dispatch.h"

#include <time.h>
#include <unistd.h>

static void add_counter(const char *label, const struct counter_row *row, uint64_t value, void *arg)
{
    (void)label;
    json_object_set_new(arg, row->name, json_integer((json_int_t)value));
}

static void add_handled(const char *ns, uint64_t count, void *arg)
{
    json_object_set_new(arg, ns, json_integer((json_int_t)count));
}

void control_server_status(struct control_request *request, void *arg)
{
    struct backend *backend = arg;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    json_t *counters = json_object();
    json_t *handled = json_object();
    counters_each(backend->counter_set, add_counter, counters);
    dispatch_each_count(add_handled, handled);
    control_reply(request, json_pack("{s:s, s:i, s:I, s:I, s:I, s:i, s:o, s:o}", "version", POSTERN_VERSION, "pid",
                                     (int)getpid(), "uptime_s", (json_int_t)(now.tv_sec - backend->started_s),
                                     "connections", (json_int_t)atomic_load(&backend->streams), "sessions",
                                     (json_int_t)atomic_load(&backend->sessions), "shards", (int)backend->shard_count,
                                     "counters", counters, "handled", handled));
}

void control_server_reload(struct control_request *request, void *arg)
{
    const struct backend *backend = arg;
    if (backend->reload)
        backend_reload_ask(backend->reload, request);
    else
        control_fail(request, "unavailable", "no server runs");
}
