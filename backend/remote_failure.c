#include "backend/remote_failure.h"

#include "backend/remote.h"
#include "backend/remote_route.h"
#include "lib/log.h"

#include <stdlib.h>

const struct s2s_failure_row *remote_failure_row(const struct remote_route *route)
{
    return &S2S_FAILURE_ROWS[route->failure];
}

bool remote_failure_set(struct remote_route *route, enum s2s_failure failure, const char *why)
{
    const bool known = route->failing && route->failure == failure;
    free(route->why);
    route->why = mem_strdup(why);
    route->failure = failure;
    route->failing = true;
    return !known;
}

void remote_failure_log(const struct remote_route *route)
{
    struct log_line line;
    log_begin(&line, route->failing ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, route->failing ? "s2s_failed" : "s2s_recovered");
    log_str(&line, "domain", route->remote->domain);
    log_str(&line, "local", route->local);
    if (route->failing) {
        log_str(&line, "failure", remote_failure_row(route)->name);
        log_str(&line, "why", route->why ? route->why : remote_failure_row(route)->text);
        log_str(&line, "advice", remote_failure_row(route)->advice);
    }
    log_uint(&line, "queued", route->queue.count);
    log_end(&line);
}
