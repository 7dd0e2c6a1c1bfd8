#include "gateway/handover.h"

#include "gateway/channel.h"
#include "gateway/gateway_control.h"
#include "gateway/generation.h"
#include "gateway/listener_pool.h"
#include "gateway/log_settings.h"
#include "gateway/master.h"
#include "gateway/tls_keeper.h"
#include "gateway/upstream_report.h"
#include "lib/control.h"
#include "lib/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HANDOVER_MAX_BYTES = 16 * 1024 * 1024,
    TICKETS_MS = 24 * 3600 * 1000, /* until the first generation of ours says how long a key lives */
};

static const char VARIABLE[] = "POSTERN_HANDOVER";
static const int SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

static json_t *describe_counters(const struct counters *counters)
{
    json_t *fds = json_array();
    for (size_t i = 0; counters_fd(counters, i) >= 0; i++)
        json_array_append_new(fds, json_integer(counters_fd(counters, i)));
    return fds;
}

static json_t *describe_listeners(const struct listener_pool *pool)
{
    json_t *listeners = json_array();
    LIST_EACH (link, &pool->sockets) {
        const struct listener *listener = LIST_ENTRY(link, struct listener, link);
        json_array_append_new(listeners, json_pack("{s:i, s:I, s:I, s:b, s:s}", "fd", listener->fd, "id",
                                                   (json_int_t)listener->id, "slot", (json_int_t)listener->slot,
                                                   "passed", listener->passed, "address", listener->address));
    }
    return listeners;
}

/* Milliseconds until what is left of it is killed; -1: it is not going to be. */
static json_int_t hard_stop_in_ms(const struct generation *generation)
{
    struct timeval at, now;
    if (!evtimer_pending(generation->hard_stop, &at)) return -1;
    event_base_gettimeofday_cached(loop_base(generation->master->loop), &now);
    json_int_t left_ms = (at.tv_sec - now.tv_sec) * 1000 + (at.tv_usec - now.tv_usec) / 1000;
    return left_ms > 0 ? left_ms : 0;
}

static json_t *describe_generation(const struct generation *generation)
{
    json_t *workers = json_array();
    for (size_t i = 0; i < generation->place_count; i++) {
        const struct worker_place *place = &generation->places[i];
        if (place->pid != 0)
            json_array_append_new(workers, json_pack("{s:i, s:i, s:b}", "pid", (int)place->pid, "fd",
                                                     channel_fd(place->channel), "ready", place->ready));
    }
    return json_pack("{s:I, s:b, s:I, s:I, s:I, s:o}", "number", (json_int_t)generation->number, "serving",
                     generation->state == GENERATION_SERVING, "drain_timeout_ms",
                     (json_int_t)generation->drain_timeout_ms, "hard_stop_after_ms",
                     (json_int_t)generation->hard_stop_after_ms, "hard_stop_in_ms", hard_stop_in_ms(generation),
                     "workers", workers);
}

static json_t *describe(const struct master *master)
{
    json_t *generations = json_array();
    LIST_EACH (link, &master->generations)
        json_array_append_new(generations, describe_generation(LIST_ENTRY(link, struct generation, link)));
    json_t *out =
        json_pack("{s:s, s:i, s:I, s:I, s:i, s:s, s:o, s:o, s:o, s:o}", "version", HANDOVER_VERSION, "pid",
                  (int)getpid(), "started_ms", (json_int_t)master->started_ms, "last_generation",
                  (json_int_t)master->last_generation, "lock_fd", master->lock_fd, "lock_path", master->lock_path,
                  "log", log_settings_describe(&master->log), "counters", describe_counters(master->counters),
                  "listeners", describe_listeners(master->listeners), "generations", generations);
    CHECK(out != NULL);
    if (master->serving->upstreams != NULL)
        json_object_set_new(out, "upstreams", upstream_report(master->serving->upstreams));
    if (master->tls != NULL) json_object_set_new(out, "tickets_fd", json_integer(tls_keeper_fd(master->tls)));
    if (master->control == NULL) return out;
    json_object_set_new(out, "control_fd", json_integer(control_fd(master->control)));
    json_object_set_new(out, "control_path", json_string(master->control_path));
    return out;
}

static void set_inheritable(int fd, bool on)
{
    (void)fcntl(fd, F_SETFD, on ? 0 : FD_CLOEXEC);
}

static void set_all_inheritable(const struct master *master, bool on)
{
    set_inheritable(master->lock_fd, on);
    if (master->tls != NULL) set_inheritable(tls_keeper_fd(master->tls), on);
    if (master->control != NULL) set_inheritable(control_fd(master->control), on);
    for (size_t i = 0; counters_fd(master->counters, i) >= 0; i++)
        set_inheritable(counters_fd(master->counters, i), on);
    LIST_EACH (link, &master->listeners->sockets)
        set_inheritable(LIST_ENTRY(link, struct listener, link)->fd, on);
    LIST_EACH (link, &master->generations) {
        const struct generation *generation = LIST_ENTRY(link, struct generation, link);
        for (size_t i = 0; i < generation->place_count; i++)
            if (generation->places[i].pid != 0) set_inheritable(channel_fd(generation->places[i].channel), on);
    }
}

int handover_write(const struct master *master)
{
    char number[16];
    int fd = memfd_create("postern-handover", MFD_ALLOW_SEALING);
    if (fd < 0) return -1;
    json_t *handover = describe(master);
    int rc = json_dumpfd(handover, fd, JSON_COMPACT);
    json_decref(handover);
    snprintf(number, sizeof(number), "%d", fd);
    if (rc < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0 || setenv(VARIABLE, number, 1) < 0) {
        close(fd);
        return -1;
    }
    set_all_inheritable(master, true);
    return fd;
}

void handover_undo(const struct master *master, int memory)
{
    unsetenv(VARIABLE);
    set_all_inheritable(master, false);
    close(memory);
}

static json_t *load(int fd)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0 || st.st_size > HANDOVER_MAX_BYTES) return NULL;
    if (lseek(fd, 0, SEEK_SET) != 0) return NULL;
    return json_loadfd(fd, 0, NULL);
}

json_t *handover_read(char *why, size_t cap)
{
    const char *number = getenv(VARIABLE);
    why[0] = '\0';
    if (number == NULL) return NULL;
    int fd = (int)strtol(number, NULL, 10);
    unsetenv(VARIABLE); /* nothing that we start is to believe it */
    json_t *handover = load(fd);
    if (handover != NULL) close(fd);
    const char *version = json_string_value(json_object_get(handover, "version"));
    /* Somebody's child that has inherited the environment is not meant. */
    if (json_integer_value(json_object_get(handover, "pid")) != getpid())
        snprintf(why, cap, "what the environment says about another gateway is not for this process");
    else if (version == NULL || strcmp(version, HANDOVER_VERSION) != 0)
        snprintf(why, cap, "the gateway before hands over in version %s, and this one knows " HANDOVER_VERSION,
                 version != NULL ? version : "?");
    if (why[0] == '\0') return handover;
    json_decref(handover);
    return NULL;
}

/* The descriptor under a name, close-on-exec again, or -1. */
static int take_fd(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    int fd = json_is_integer(value) ? (int)json_integer_value(value) : -1;
    return fd > STDERR_FILENO && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? fd : -1;
}

static int adopt_counters(struct master *master, const json_t *fds)
{
    for (size_t i = 0; i < json_array_size(fds); i++) {
        int fd = (int)json_integer_value(json_array_get(fds, i));
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || counters_adopt(master->counters, fd) < 0) return -1;
    }
    return 0;
}

static int adopt_listeners(struct listener_pool *pool, const json_t *listeners)
{
    for (size_t i = 0; i < json_array_size(listeners); i++) {
        const json_t *one = json_array_get(listeners, i);
        const char *address = json_string_value(json_object_get(one, "address"));
        int fd = take_fd(one, "fd");
        struct endpoint bound = {.len = sizeof(bound.ip)};
        if (fd < 0 || address == NULL || getsockname(fd, &bound.sa, &bound.len) < 0) return -1;
        listener_pool_restore(pool, fd, address, (size_t)json_integer_value(json_object_get(one, "slot")),
                              json_is_true(json_object_get(one, "passed")), &bound,
                              (uint64_t)json_integer_value(json_object_get(one, "id")));
    }
    return 0;
}

static int adopt_workers(struct generation *generation, const json_t *workers)
{
    for (size_t i = 0; i < json_array_size(workers); i++) {
        const json_t *one = json_array_get(workers, i);
        pid_t pid = (pid_t)json_integer_value(json_object_get(one, "pid"));
        int fd = take_fd(one, "fd");
        if (fd < 0 || pid <= 0) return -1;
        worker_place_adopt(&generation->places[i], pid, fd, json_is_true(json_object_get(one, "ready")));
    }
    return 0;
}

static int adopt_generation(struct master *master, const json_t *one)
{
    const json_t *workers = json_object_get(one, "workers");
    bool serving = json_is_true(json_object_get(one, "serving"));
    struct generation *generation =
        generation_adopt(master, (uint64_t)json_integer_value(json_object_get(one, "number")),
                         serving ? GENERATION_SERVING : GENERATION_RETIRED, json_array_size(workers));
    generation->drain_timeout_ms = json_integer_value(json_object_get(one, "drain_timeout_ms"));
    generation->hard_stop_after_ms = json_integer_value(json_object_get(one, "hard_stop_after_ms"));
    generation->log = master->log;
    generation_set_hard_stop(generation, json_integer_value(json_object_get(one, "hard_stop_in_ms")));
    if (serving) master->serving = generation;
    return adopt_workers(generation, workers);
}

static void adopt_log(struct master *master, const json_t *log)
{
    master->log = log_settings_read(log);
    if (log_setup(&master->log, NULL) < 0) log_msg(LOG_LEVEL_ERROR, "log_failed", "%s", strerror(errno));
}

int handover_adopt(struct master *master, const json_t *handover)
{
    char why[128];
    const json_t *generations = json_object_get(handover, "generations");
    const char *lock_path = json_string_value(json_object_get(handover, "lock_path"));
    const char *control_path = json_string_value(json_object_get(handover, "control_path"));
    adopt_log(master, json_object_get(handover, "log"));
    master->started_ms = json_integer_value(json_object_get(handover, "started_ms"));
    master->last_generation = (uint64_t)json_integer_value(json_object_get(handover, "last_generation"));
    master->lock_fd = take_fd(handover, "lock_fd");
    master->lock_path = mem_strdup(lock_path);
    if (master->lock_fd < 0 || lock_path == NULL) return -1;
    if (adopt_counters(master, json_object_get(handover, "counters")) < 0) return -1;
    if (adopt_listeners(master->listeners, json_object_get(handover, "listeners")) < 0) return -1;
    for (size_t i = 0; i < json_array_size(generations); i++)
        if (adopt_generation(master, json_array_get(generations, i)) < 0) return -1;
    if (master->serving == NULL) return -1;
    int tickets = take_fd(handover, "tickets_fd");
    if (tickets >= 0) master->tls = tls_keeper_new(master->loop, tickets, TICKETS_MS, why, sizeof(why));
    int control = take_fd(handover, "control_fd");
    if (control < 0 || control_path == NULL) return 0;
    master->control_path = mem_strdup(control_path);
    master->control = gateway_control_adopt(master, control, control_path);
    return 0;
}
