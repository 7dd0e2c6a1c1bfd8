#include "gateway/generation.h"

#include "gateway/gateway_config.h"
#include "gateway/generation_part.h"
#include "gateway/listener_pool.h"
#include "gateway/log_settings.h"
#include "gateway/master.h"
#include "lib/log.h"
#include "lib/mem.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>

enum { HARD_STOP_EXTRA_MS = 2000 }; /* beyond what the workers were given, before they are killed */

static void on_hard_stop(evutil_socket_t fd, short what, void *arg)
{
    struct generation *generation = arg;
    (void)fd, (void)what;
    generation->killed = true;
    for (size_t i = 0; i < generation->place_count; i++) {
        const struct worker_place *place = &generation->places[i];
        if (place->pid == 0) continue;
        log_msg(LOG_LEVEL_WARN, "hard_stop", "worker %zu (pid %d) did not end in time", i, (int)place->pid);
        kill(place->pid, SIGKILL);
    }
}

struct generation *generation_adopt(struct master *master, uint64_t number, enum generation_state state,
                                    size_t place_count)
{
    struct generation *generation = MEM_NEW(struct generation);
    generation->master = master;
    generation->number = number;
    generation->state = state;
    generation->place_count = place_count;
    generation->places = mem_alloc((place_count + 1) * sizeof(*generation->places));
    for (size_t i = 0; i < place_count; i++)
        worker_place_init(&generation->places[i], generation, i);
    generation->hard_stop = evtimer_new(loop_base(master->loop), on_hard_stop, generation);
    CHECK(generation->hard_stop != NULL);
    list_append(&master->generations, &generation->link);
    return generation;
}

/* Returns how many parts were made: all, or up to the one that failed. */
static size_t make_parts(struct generation *generation, char *why, size_t cap)
{
    struct generation *before = generation->master->serving;
    size_t made = 0;
    for (; made < GENERATION_PART_COUNT; made++) {
        const struct generation_part *part = &GENERATION_PARTS[made];
        if (part->make != NULL && part->make(generation, before, why, cap) < 0) break;
    }
    return made;
}

static void abandon_parts(struct generation *generation)
{
    for (size_t i = generation->parts_made; i > 0; i--)
        if (GENERATION_PARTS[i - 1].abandon != NULL) GENERATION_PARTS[i - 1].abandon(generation);
}

struct generation *generation_make(struct master *master, struct gateway_config *config, char *why, size_t cap)
{
    struct generation *generation =
        generation_adopt(master, ++master->last_generation, GENERATION_STARTING, config->workers);
    generation->config = config;
    generation->log = config->log;
    generation->drain_timeout_ms = config->drain_timeout_ms;
    generation->hard_stop_after_ms = config->hard_stop_after_ms;
    generation->parts_made = make_parts(generation, why, cap);
    if (generation->parts_made < GENERATION_PART_COUNT) {
        abandon_parts(generation);
        generation_free(&generation);
        return NULL;
    }
    for (size_t i = 0; i < generation->place_count; i++)
        generation->places[i].due = true;
    return generation;
}

void generation_free(struct generation **generation)
{
    struct generation *old = *generation;
    *generation = NULL;
    for (size_t i = 0; i < old->place_count; i++)
        worker_place_clear(&old->places[i]);
    for (size_t i = GENERATION_PART_COUNT; i > 0; i--)
        if (GENERATION_PARTS[i - 1].free != NULL) GENERATION_PARTS[i - 1].free(old);
    event_free(old->hard_stop);
    gateway_config_free(&old->config);
    list_remove(&old->link);
    free(old->places);
    free(old);
}

bool generation_ready(const struct generation *generation)
{
    for (size_t i = 0; i < generation->place_count; i++)
        if (!generation->places[i].ready) return false;
    return true;
}

bool generation_ended(const struct generation *generation)
{
    for (size_t i = 0; i < generation->place_count; i++)
        if (generation->places[i].pid != 0) return false;
    return true;
}

static void stop_starting(struct generation *generation)
{
    generation->state = GENERATION_RETIRED;
    for (size_t i = 0; i < generation->place_count; i++) {
        generation->places[i].due = false;
        evtimer_del(generation->places[i].restart);
    }
}

/* The sockets that were given up are closed here first, so that the workers' are the last. */
void generation_serve(struct generation *generation, struct generation *before)
{
    struct master *master = generation->master;
    json_t *removed = listener_pool_commit(master->listeners, generation->config);
    generation->state = GENERATION_SERVING;
    master->serving = generation;
    for (size_t i = 0; i < GENERATION_PART_COUNT; i++)
        if (GENERATION_PARTS[i].serve != NULL) GENERATION_PARTS[i].serve(generation, before);
    if (before != NULL) {
        int64_t patience_ms = generation->hard_stop_after_ms;
        stop_starting(before);
        generation_drain(before, patience_ms > 0 ? patience_ms : -1, removed);
    }
    json_decref(removed);
    LIST_EACH (link, &master->generations)
        generation_tell_log(LIST_ENTRY(link, struct generation, link));
}

void generation_abandon(struct generation *generation)
{
    abandon_parts(generation);
    stop_starting(generation);
    generation_end(generation);
}

void generation_set_hard_stop(struct generation *generation, int64_t delay_ms)
{
    const struct timeval delay = {.tv_sec = delay_ms / 1000, .tv_usec = delay_ms % 1000 * 1000};
    evtimer_del(generation->hard_stop);
    if (delay_ms >= 0) evtimer_add(generation->hard_stop, &delay);
}

void generation_drain(struct generation *generation, int64_t timeout_ms, json_t *empty)
{
    generation_tell(generation,
                    json_pack("{s:s, s:I, s:O}", "type", "drain", "timeout_ms", (json_int_t)timeout_ms, "empty", empty),
                    -1);
    generation_set_hard_stop(generation, timeout_ms >= 0 ? timeout_ms + HARD_STOP_EXTRA_MS : -1);
}

void generation_end(struct generation *generation)
{
    generation_tell(generation, json_pack("{s:s}", "type", "end"), -1);
    generation_set_hard_stop(generation, HARD_STOP_EXTRA_MS);
}

void generation_tell(struct generation *generation, json_t *message, int fd)
{
    for (size_t i = 0; i < generation->place_count; i++)
        worker_place_tell(&generation->places[i], json_incref(message), fd);
    json_decref(message);
}

/* The log daemon's socket is a worker's own. */
void generation_tell_log(struct generation *generation)
{
    /* the main file last: a worker of an older program takes what comes last for all */
    static const enum log_sink SINKS[] = {LOG_SINK_STDERR, LOG_SINK_ERROR_FILE, LOG_SINK_FILE};
    for (size_t i = 0; i < ARRAY_LEN(SINKS); i++) {
        const int fd = log_descriptor(SINKS[i]);
        if (fd < 0) continue;
        json_t *message = log_settings_describe(&generation->master->log);
        json_object_set_new(message, "type", json_string("log"));
        json_object_set_new(message, "sink", json_integer((json_int_t)SINKS[i]));
        generation_tell(generation, message, fd);
    }
}
