/* worker_place - one worker's place in its generation; the process in it may be replaced. */
#ifndef POSTERN_GATEWAY_WORKER_PLACE_H
#define POSTERN_GATEWAY_WORKER_PLACE_H

#include "lib/check.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct channel;
struct event;
struct generation;

struct worker_place {
    struct generation *generation;
    size_t index;
    pid_t pid;               /* 0: none */
    struct channel *channel; /* while there is a process */
    bool ready;              /* it accepts connections */
    bool due;                /* to be started */
    int source_region;       /* of the process, in the generation's sources */
    unsigned deaths;         /* in a row, for the backoff */
    int64_t started_ms;
    struct event *restart; /* timer */
};

void worker_place_init(struct worker_place *place, struct generation *generation, size_t index);
void worker_place_clear(struct worker_place *place);

/* worker_place_start - fork the process.  Returns -1 in the master, else the exit status of the child, where all that
 * was the master's has been freed. */
MUSTCHECK int worker_place_start(struct worker_place *place);

/* worker_place_adopt - a process that the program before us has started, on this channel (taken). */
void worker_place_adopt(struct worker_place *place, pid_t pid, int channel, bool ready);

/* worker_place_tell - send a message (takes the reference) with fd (kept; -1: none) if there is a process. */
void worker_place_tell(struct worker_place *place, json_t *message, int fd);

/* worker_place_reap - whether the process has ended; then it is logged and counted as it deserves. */
bool worker_place_reap(struct worker_place *place);

/* worker_place_restart_later - after a death: soon, and later if it dies again and again. */
void worker_place_restart_later(struct worker_place *place);

#endif
