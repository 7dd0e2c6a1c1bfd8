/* remote_failure - what is wrong with a route, for the log and for those who ask. */
#ifndef POSTERN_BACKEND_REMOTE_FAILURE_H
#define POSTERN_BACKEND_REMOTE_FAILURE_H

#include "backend/s2s_failure.h"

#include <stdbool.h>

struct remote_route;

const struct s2s_failure_row *remote_failure_row(const struct remote_route *route);

/* remote_failure_set - it fails; why is for a person, and may be NULL.  Returns whether that is news. */
bool remote_failure_set(struct remote_route *route, enum s2s_failure failure, const char *why);

/* remote_failure_log - that it fails, or that it does not any more. */
void remote_failure_log(const struct remote_route *route);

#endif
