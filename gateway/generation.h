/* generation - the workers that were started with one configuration, and what they share with the master.
 *
 * A reload makes a new generation beside the one that serves.  Once all its workers are ready it serves, and the old
 * one is retired: its workers accept no more and end with their last connection. */
#ifndef POSTERN_GATEWAY_GENERATION_H
#define POSTERN_GATEWAY_GENERATION_H

#include "gateway/worker_place.h"
#include "lib/check.h"
#include "lib/list.h"
#include "lib/log.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event;
struct gateway_config;
struct master;
struct source_table;
struct tls_watch;
struct upstream_state;
struct upstream_watch;
struct worker_start;

enum generation_state {
    GENERATION_STARTING, /* not all of its workers have been ready */
    GENERATION_SERVING,
    GENERATION_RETIRED,
};

struct generation {
    struct list link; /* in the master's list, the oldest first */
    struct master *master;
    uint64_t number;
    enum generation_state state;
    struct gateway_config *config; /* NULL: made by the program before an upgrade */
    struct log_config log;         /* its texts are the configuration's */
    int64_t drain_timeout_ms, hard_stop_after_ms;
    struct event *hard_stop;          /* timer: what is left is killed */
    bool killed;                      /* that has happened */
    size_t parts_made;                /* of GENERATION_PARTS */
    struct upstream_state *upstreams; /* see upstream_state.h */
    struct upstream_watch *watch;     /* until the generation is retired */
    struct tls_watch *tls_watch;      /* likewise */
    struct source_table *sources;     /* see source.h; generations may share it */
    size_t place_count;
    struct worker_place *places;
};

/* generation_make - for a configuration (taken, also on failure): everything but the processes, which are due.  NULL
 * and a message in why. */
MUSTCHECK struct generation *generation_make(struct master *master, struct gateway_config *config, char *why,
                                             size_t cap);

/* generation_adopt - one of the program before us, with room for so many processes. */
struct generation *generation_adopt(struct master *master, uint64_t number, enum generation_state state,
                                    size_t place_count);

/* generation_free - its processes are not touched. */
void generation_free(struct generation **generation);

/* generation_ready - whether every worker accepts connections.  generation_ended - whether no process is left. */
bool generation_ready(const struct generation *generation);
bool generation_ended(const struct generation *generation);

/* generation_serve - all are ready: it serves, and the one before it is retired. */
void generation_serve(struct generation *generation, struct generation *before);

/* generation_abandon - it will never serve: its processes end, and what was made for it is undone. */
void generation_abandon(struct generation *generation);

/* generation_drain - its workers accept no more and end with their last connection, or after timeout_ms (negative:
 * whenever that is).  empty (borrowed): ids of sockets, or true for all: who waits there is taken before. */
void generation_drain(struct generation *generation, int64_t timeout_ms, json_t *empty);

/* generation_set_hard_stop - kill what is left after delay_ms; negative: never. */
void generation_set_hard_stop(struct generation *generation, int64_t delay_ms);

/* generation_end - its workers end now. */
void generation_end(struct generation *generation);

/* generation_tell - send a message (takes the reference) with fd (kept; -1: none) to all its workers. */
void generation_tell(struct generation *generation, json_t *message, int fd);

/* generation_tell_log - its workers write their lines where the master does, and as it does. */
void generation_tell_log(struct generation *generation);

#endif
