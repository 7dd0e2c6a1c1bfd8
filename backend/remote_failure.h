/* remote_failure - what is wrong with a route, for the log and for those who ask. */
#ifndef POSTERN_BACKEND_REMOTE_FAILURE_H
#define POSTERN_BACKEND_REMOTE_FAILURE_H

#include "backend/s2s_failure.h"

#include <stdint.h>

struct remote_route;

/* How many lines of the log a shard has had of late. */
struct remote_failure_turn {
    int64_t since_ms; /* of loop_now_ms */
    unsigned lines;
    uint64_t left_out; /* since the last one */
};

const struct s2s_failure_row *remote_failure_row(const struct remote_route *route);

/* remote_failure_set - it fails; why is for a person, and may be NULL. */
void remote_failure_set(struct remote_route *route, enum s2s_failure failure, const char *why);

/* remote_failure_tell - have the log say so, if that is news: another failure, or for an hour another reason. */
void remote_failure_tell(struct remote_route *route);

/* remote_failure_over - it fails no more; the log says so if it has said that it did. */
void remote_failure_over(struct remote_route *route);

#endif
