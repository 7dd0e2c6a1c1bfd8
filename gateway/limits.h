/* limits - who may connect to a worker, decided before anything is spent on a connection.
 *
 * What is over a limit is reset: that leaves nothing behind in the kernel.  Each is counted under the reason; of the
 * log lines so many a second are written that a flood of clients is no flood of lines. */
#ifndef POSTERN_GATEWAY_LIMITS_H
#define POSTERN_GATEWAY_LIMITS_H

#include "gateway/close_reason.h"
#include "gateway/source.h"
#include "lib/addr.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;
struct event;
struct listener_config;
struct worker;

/* A worker's. */
struct limits {
    struct sources sources;
    bool counting;        /* some limit needs the counts of sources */
    size_t admin_count;   /* connections of admin listeners */
    unsigned lines;       /* written in this second */
    unsigned held_back;   /* not written in it */
    struct event *second; /* timer: it is over */
    int spare_fd;         /* given up to turn a client away when there is no other; -1: not to be had */
};

void limits_open(struct worker *worker, struct source_table *table, int region);
void limits_close(struct worker *worker);

/* limits_admit - whether the worker takes one connection more from this peer; else why says why not.
 * limits_admit_source - the same for the source that a trusted peer has told.  What is admitted counts for the rate. */
MUSTCHECK bool limits_admit(struct worker *worker, const struct listener_config *listener, const struct addr *peer,
                            enum close_reason *why);
MUSTCHECK bool limits_admit_source(struct worker *worker, const struct addr *source, enum close_reason *why);

/* limits_turn_away - reset a socket that was just accepted, takes fd. */
void limits_turn_away(struct worker *worker, const struct listener_config *listener, int fd, const struct addr *peer,
                      enum close_reason reason);

/* limits_shed - no descriptor is left: take one client from the listening socket nevertheless, by the spare one, and
 * turn it away.  Returns 1, 0 when nobody waits there, or -1: only time helps. */
MUSTCHECK int limits_shed(struct worker *worker, const struct listener_config *listener, int listening_fd);

/* limits_may_log - whether the line about a connection that ends for this reason is written; one held back is
 * counted. */
bool limits_may_log(struct worker *worker, enum close_reason reason);

/* limits_came - count an undecided connection with its source, or as an administrator's, from now on; limits_decided,
 * limits_left - what became of it; harmless when it was not counted. */
void limits_came(struct conn *conn);
void limits_decided(struct conn *conn);
void limits_left(struct conn *conn);

#endif
