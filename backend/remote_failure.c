#include "backend/remote_failure.h"

#include "backend/remote.h"
#include "backend/remote_route.h"
#include "backend/shard.h"
#include "lib/log.h"

#include <stdlib.h>
#include <string.h>

enum {
    WHY_AGAIN_MS = 60 * 60 * 1000, /* from one line to the next about the same failure */
    TURN_MS = 10 * 1000,           /* in which a shard has so many lines about failures: */
    TURN_LINES = 50,               /* whoever writes to domains at random shall not fill the disk */
};

static int64_t now_ms(const struct remote_route *route)
{
    return loop_now_ms(route->remote->shard->loop);
}

const struct s2s_failure_row *remote_failure_row(const struct remote_route *route)
{
    return &S2S_FAILURE_ROWS[route->failure];
}

static bool is_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

void remote_failure_set(struct remote_route *route, enum s2s_failure failure, const char *why)
{
    const bool same = route->failing && route->failure == failure;
    if (!same) route->told_ms = 0;
    if (!same || !is_same(route->why, why)) route->untold = true;
    free(route->why);
    route->why = mem_strdup(why);
    route->failure = failure;
    route->failing = true;
}

static void tell(const struct remote_route *route, enum log_level level, const char *event, uint64_t left_out)
{
    struct log_line line;
    log_begin(&line, level, event);
    log_str(&line, "domain", route->remote->domain);
    log_str(&line, "local", route->local);
    if (route->failing) {
        log_str(&line, "failure", remote_failure_row(route)->name);
        log_str(&line, "why", route->why ? route->why : remote_failure_row(route)->text);
        log_str(&line, "advice", remote_failure_row(route)->advice);
    }
    log_uint(&line, "queued", route->queue.count);
    if (left_out > 0) log_uint(&line, "left_out", left_out);
    log_end(&line);
}

static bool takes_turn(struct remote_failure_turn *turn, int64_t now)
{
    if (now - turn->since_ms >= TURN_MS)
        *turn = (struct remote_failure_turn){.since_ms = now, .left_out = turn->left_out};
    if (turn->lines < TURN_LINES) {
        turn->lines++;
        return true;
    }
    turn->left_out++;
    return false;
}

void remote_failure_tell(struct remote_route *route)
{
    const int64_t now = now_ms(route);
    struct remote_failure_turn *turn = &route->remote->shard->remotes->turn;
    if (!route->untold || (route->told_ms > 0 && now - route->told_ms < WHY_AGAIN_MS) || !takes_turn(turn, now)) return;
    tell(route, LOG_LEVEL_WARN, "s2s_failed", turn->left_out);
    turn->left_out = 0;
    route->untold = false;
    route->told_ms = now;
}

void remote_failure_over(struct remote_route *route)
{
    route->failing = route->untold = false;
    if (route->told_ms > 0) tell(route, LOG_LEVEL_INFO, "s2s_recovered", 0);
    route->told_ms = 0;
}
