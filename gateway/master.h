/* master - the process that binds, starts the workers and looks after them; it holds nothing of a connection. */
#ifndef POSTERN_GATEWAY_MASTER_H
#define POSTERN_GATEWAY_MASTER_H

#include "gateway/close_reason.h"
#include "gateway/reload.h"
#include "gateway/upgrade.h"
#include "lib/counter.h"
#include "lib/list.h"
#include "lib/log.h"
#include "lib/loop.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct channel;
struct control;
struct event;
struct gateway_config;
struct generation;
struct listener_pool;
struct tls_keeper;
struct worker_place;

enum { MASTER_LABELS_MAX = 1 << 16 }; /* of counters: names of routes since the start */

struct master {
    unsigned magic;
    char *config_path, *lock_path, *control_path; /* the last is NULL without a control socket */
    struct loop *loop;
    struct counters *counters;
    struct listener_pool *listeners;
    struct tls_keeper *tls;     /* from the first generation on */
    struct control *control;    /* NULL: none */
    struct list generations;    /* the oldest first */
    struct generation *serving; /* NULL before the first is ready */
    uint64_t last_generation;   /* number of the youngest */
    struct reload reload;
    struct upgrade upgrade;
    json_t *handover;      /* of the program before; NULL: there was none */
    struct log_config log; /* in force; its texts are the configuration's that it is from */
    int lock_fd;
    bool ready;    /* a generation serves */
    bool stopping; /* no worker is started any more */
    bool failed;   /* the first generation did not start */
    bool ended;    /* stopping, and no worker is left */
    int64_t started_ms;
};

/* master_run - start and run the gateway until it is told to stop.  config_path is where the configuration is read from
 * again, and argv how an upgraded program is run; both are borrowed.  handover (taken): what the program before this
 * one has left, or NULL; then config (taken) is the configuration, else NULL.  Returns the exit status of this process:
 * of the master, or, after the fork, of a worker; -1: nothing could be made of the handover, and nothing is left of it.
 */
int master_run(struct gateway_config *config, const char *config_path, char **argv, json_t *handover);

/* master_free - free what belongs to the process that master_run was called in; the child of a fork frees its copies.
 */
void master_free(struct master **master);

/* master_drain - accept no more, and end when the last connection has, or after timeout_ms (negative: whenever that
 * is).  A later call changes the time. */
void master_drain(struct master *master, int64_t timeout_ms);

/* master_tell - send a message (takes the reference) to all workers of all generations. */
void master_tell(struct master *master, json_t *message, int fd);

/* master_channels - the channels to all workers of all generations; free() the array. */
MUSTCHECK struct channel **master_channels(const struct master *master, size_t *count);

/* For its parts: a worker accepts connections; the first generation cannot start. */
void master_worker_ready(struct worker_place *place);
void master_start_failed(struct master *master);

#endif
