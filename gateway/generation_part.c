#include "gateway/generation_part.h"

#include "gateway/listener_pool.h"
#include "gateway/master.h"
#include "gateway/source.h"
#include "gateway/tls_keeper.h"
#include "gateway/tls_watch.h"
#include "gateway/upstream_report.h"
#include "gateway/upstream_state.h"
#include "gateway/upstream_watch.h"
#include "gateway/worker.h"

#include <stdio.h>

/* For names that are not known yet.  At a reload the master has others to answer meanwhile. */
enum { START_SETTLE_MS = 3000, RELOAD_SETTLE_MS = 500 };

/* Labels are for ever: what a route has counted is there when it comes back. */
static int make_counters(struct generation *generation, struct generation *before, char *why, size_t cap)
{
    struct counters *counters = generation->master->counters;
    struct route_table *routes = generation->config->routes;
    (void)before;
    bool made = counters_block(counters, "") != NULL;
    for (size_t i = 0; made && i < route_count(routes); i++)
        made = counters_block(counters, route_at(routes, i)->name) != NULL;
    if (made) return 0;
    snprintf(why, cap, "there were more than %d names of routes since the start: this needs a restart",
             MASTER_LABELS_MAX);
    return -1;
}

static void give_counters(struct worker_place *place, struct worker_start *start)
{
    struct master *master = place->generation->master;
    start->counters = master->counters;
    master->counters = NULL;
}

/* What the administrator set, what is down or ejected and where names are is the same after a reload. */
static int make_upstreams(struct generation *generation, struct generation *before, char *why, size_t cap)
{
    const struct gateway_config *config = generation->config;
    (void)why, (void)cap;
    generation->upstreams = upstream_state_new(config->upstreams, config->upstream_count, config->workers);
    if (before != NULL) {
        json_t *report = before->upstreams != NULL
                             ? upstream_report(before->upstreams)
                             : json_incref(json_object_get(generation->master->handover, "upstreams"));
        upstream_report_restore(generation->upstreams, report);
        json_decref(report);
    }
    generation->watch = upstream_watch_new(generation->master->loop, config, generation->upstreams);
    upstream_watch_settle(generation->watch, before != NULL ? RELOAD_SETTLE_MS : START_SETTLE_MS);
    return 0;
}

/* Of the workers that are left, hardly any connects to a server again. */
static void serve_upstreams(struct generation *generation, struct generation *before)
{
    (void)generation;
    if (before != NULL) upstream_watch_free(&before->watch);
}

static void died_upstreams(struct worker_place *place)
{
    if (place->generation->upstreams != NULL) upstream_state_bury(place->generation->upstreams, place->index);
}

static void give_upstreams(struct worker_place *place, struct worker_start *start)
{
    upstream_watch_free(&place->generation->watch);
    start->upstreams = place->generation->upstreams;
    place->generation->upstreams = NULL;
}

static void free_upstreams(struct generation *generation)
{
    upstream_watch_free(&generation->watch);
    upstream_state_free(&generation->upstreams);
}

/* Rates and what a source holds are kept while the table is large enough. */
static int make_sources(struct generation *generation, struct generation *before, char *why, size_t cap)
{
    const struct gateway_config *config = generation->config;
    (void)why, (void)cap;
    struct source_table *kept = before != NULL ? before->sources : NULL;
    bool fits = kept != NULL && source_table_fits(kept, config->workers, config->max_connections);
    generation->sources = fits ? kept : source_table_new(config->workers, config->max_connections);
    return 0;
}

static void forking_sources(struct worker_place *place)
{
    place->source_region = source_table_take_region(place->generation->sources);
}

static void died_sources(struct worker_place *place)
{
    if (place->generation->sources != NULL) source_table_clear_worker(place->generation->sources, place->source_region);
}

/* Whether another generation has the table, too. */
static bool is_shared(const struct generation *generation)
{
    LIST_EACH (link, &generation->master->generations) {
        const struct generation *other = LIST_ENTRY(link, struct generation, link);
        if (other != generation && other->sources == generation->sources) return true;
    }
    return false;
}

static void free_sources(struct generation *generation)
{
    if (!is_shared(generation)) source_table_free(&generation->sources);
    generation->sources = NULL;
}

static void give_sources(struct worker_place *place, struct worker_start *start)
{
    struct source_table *table = place->generation->sources;
    start->sources = table;
    start->source_region = place->source_region;
    LIST_EACH (link, &place->generation->master->generations) {
        struct generation *generation = LIST_ENTRY(link, struct generation, link);
        if (generation->sources == table) generation->sources = NULL;
    }
}

static void tell_certificates(const char *title, int fd, void *arg)
{
    generation_tell(arg, json_pack("{s:s, s:s}", "type", "certificates", "tls", title), fd);
}

/* The keys of tickets are the master's: clients resume over a reload. */
static int make_tls(struct generation *generation, struct generation *before, char *why, size_t cap)
{
    struct master *master = generation->master;
    struct gateway_config *config = generation->config;
    (void)before;
    if (gateway_config_load_tls(config, why, cap) < 0) return -1;
    if (master->tls == NULL) master->tls = tls_keeper_new(master->loop, -1, config->ticket_rotation_ms, why, cap);
    if (master->tls == NULL) return -1;
    generation->tls_watch = tls_watch_new(master->loop, config, tell_certificates, generation);
    return 0;
}

static void serve_tls(struct generation *generation, struct generation *before)
{
    tls_keeper_set_rotation(generation->master->tls, generation->config->ticket_rotation_ms);
    if (before != NULL) tls_watch_free(&before->tls_watch);
}

static void give_tls(struct worker_place *place, struct worker_start *start)
{
    tls_watch_free(&place->generation->tls_watch);
    start->tickets = tls_keeper_release(&place->generation->master->tls);
}

static void free_tls(struct generation *generation)
{
    tls_watch_free(&generation->tls_watch);
}

static int make_listeners(struct generation *generation, struct generation *before, char *why, size_t cap)
{
    return listener_pool_prepare(generation->master->listeners, generation->config, before == NULL, why, cap);
}

static void abandon_listeners(struct generation *generation)
{
    listener_pool_rollback(generation->master->listeners);
}

static void give_listeners(struct worker_place *place, struct worker_start *start)
{
    const struct generation *generation = place->generation;
    start->listeners = listener_pool_give(generation->master->listeners, generation->config, place->index,
                                          generation->state == GENERATION_STARTING);
}

const struct generation_part GENERATION_PARTS[] = {
    {.name = "counters", .make = make_counters, .give = give_counters},
    {.name = "upstreams",
     .make = make_upstreams,
     .serve = serve_upstreams,
     .died = died_upstreams,
     .give = give_upstreams,
     .free = free_upstreams},
    {.name = "sources",
     .make = make_sources,
     .forking = forking_sources,
     .died = died_sources,
     .give = give_sources,
     .free = free_sources},
    {.name = "tls", .make = make_tls, .serve = serve_tls, .give = give_tls, .free = free_tls},
    /* generation_serve commits them: the workers before need to know what was given up. */
    {.name = "listeners", .make = make_listeners, .abandon = abandon_listeners, .give = give_listeners},
};
const size_t GENERATION_PART_COUNT = ARRAY_LEN(GENERATION_PARTS);
