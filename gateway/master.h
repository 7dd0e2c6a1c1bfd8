/* master - the process that binds, starts the workers and looks after them; it holds nothing of a connection. */
#ifndef POSTERN_GATEWAY_MASTER_H
#define POSTERN_GATEWAY_MASTER_H

#include "gateway/gateway_config.h"
#include "lib/counter.h"
#include "lib/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct channel;
struct control;
struct event;
struct listener_set;
struct tls_keeper;
struct upstream_state;
struct upstream_watch;
struct master;
struct source_table;

/* One worker's place; the process in it may be replaced. */
struct master_worker {
    struct master *master;
    size_t index;
    int source_region;       /* of the process, in sources */
    pid_t pid;               /* 0: none */
    struct channel *channel; /* NULL: none */
    bool ready;              /* it accepts connections */
    bool due;                /* to be started */
    unsigned deaths;         /* in a row, for the backoff */
    int64_t started_ms;
    struct event *restart; /* timer */
};

struct master {
    unsigned magic;
    struct gateway_config *config;
    struct loop *loop;
    struct counters *counters;
    struct upstream_state *upstreams;
    struct source_table *sources;
    struct upstream_watch *watch;
    struct listener_set *listeners;
    struct tls_keeper *tls;
    struct control *control; /* NULL: none */
    struct master_worker *workers;
    struct event *hard_stop; /* timer */
    int lock_fd;
    bool ready;    /* all workers were ready once */
    bool stopping; /* no worker is started any more */
    bool failed;   /* a worker could not be started the first time */
    bool ended;    /* stopping, and no worker is left */
    int64_t started_ms;
};

/* master_run - start and run the gateway until it is told to stop.  Returns the exit status of this process: of the
 * master, or, after the fork, of a worker. */
int master_run(struct gateway_config *config);

#endif
