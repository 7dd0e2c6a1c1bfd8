#include "backend/remote_attempt.h"

#include "backend/host.h"
#include "backend/remote.h"
#include "backend/remote_backoff.h"
#include "backend/remote_failure.h"
#include "backend/remote_queue.h"
#include "backend/remote_route.h"
#include "backend/remote_waiting.h"
#include "backend/s2s_policy.h"
#include "backend/s2s_resume.h"
#include "backend/s2s_stream.h"
#include "backend/shard.h"

#include <event2/event.h>

enum { HURRY_MS = 1000 }; /* from one attempt to the next, however often the other server is heard */

static int64_t now_ms(const struct remote_route *route)
{
    return loop_now_ms(route->remote->shard->loop);
}

static void on_timer(evutil_socket_t fd, short what, void *arg);

static void set_timer(struct remote_route *route, int64_t wait_ms)
{
    if (!route->timer) route->timer = evtimer_new(loop_base(route->remote->shard->loop), on_timer, route);
    CHECK(route->timer);
    const struct timeval tv = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};
    CHECK(evtimer_add(route->timer, &tv) == 0);
}

void remote_attempt_stop(struct remote_route *route)
{
    if (route->timer) event_del(route->timer);
}

void remote_attempt_back_off(struct remote_route *route, int64_t wait_ms)
{
    route->retry_ms = route->wake_ms = now_ms(route) + wait_ms;
}

bool remote_attempt_has_reason(const struct remote_route *route)
{
    return remote_failure_row(route)->keeps &&
           (route->queue.count > 0 || route->presence_owed || s2s_resume_waits(route->remote, route->local, true));
}

/* The next time for something to happen to a route that is down: another attempt, rows that are too old, or that it is
 * forgotten. */
void remote_attempt_schedule(struct remote_route *route)
{
    if (route->state != REMOTE_DOWN || route->remote->shard->stopping) return;
    const int64_t wake_ms = route->wake_ms - now_ms(route), due_ms = remote_queue_due_ms(route);
    int64_t wait_ms = wake_ms < due_ms ? wake_ms : due_ms;
    if (wait_ms < 0) wait_ms = 0;
    set_timer(route, wait_ms);
}

void remote_attempt_forget(struct remote_route *route)
{
    route->state = REMOTE_IDLE;
    route->presence_owed = false;
    remote_attempt_stop(route);
    remote_waiting_drop_farewells(route);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct remote_route *route = remote_route_of(arg);
    (void)fd, (void)what;
    if (route->state != REMOTE_DOWN) return;
    if (remote_queue_due_ms(route) == 0) remote_queue_run(route);
    if (now_ms(route) < route->wake_ms) {
        remote_attempt_schedule(route);
    } else if (remote_attempt_has_reason(route)) {
        remote_attempt_begin(route);
    } else if (route->queue.count == 0) {
        remote_attempt_forget(route);
        remote_route_release(route);
    } else {
        route->wake_ms = now_ms(route) + REMOTE_BACKOFF_LAST_MS; /* rows of a host that is not ours any more */
        remote_attempt_schedule(route);
    }
}

/* A stream that carries the pair already, or might. */
static bool use_other(struct remote_route *route)
{
    LIST_EACH (link, &route->remote->streams) {
        struct s2s_stream *stream = LIST_ENTRY(link, struct s2s_stream, link);
        if (!s2s_stream_carries(stream, route->local)) continue;
        remote_route_up(route, stream);
        return true;
    }
    LIST_EACH (link, &route->remote->streams) {
        struct s2s_stream *stream = LIST_ENTRY(link, struct s2s_stream, link);
        if (!s2s_stream_will_carry(stream, route->local)) continue;
        route->stream = stream;
        return true;
    }
    LIST_EACH (link, &route->remote->streams) {
        struct s2s_stream *stream = LIST_ENTRY(link, struct s2s_stream, link);
        if (!stream->outgoing || !s2s_stream_is_open(stream) || !s2s_out_join(stream, route->local)) continue;
        route->stream = stream;
        route->joining = true;
        return true;
    }
    return false;
}

static void begin(struct remote_route *route)
{
    remote_attempt_stop(route);
    route->state = REMOTE_CONNECTING;
    route->tried_ms = now_ms(route);
    if (!use_other(route)) route->stream = s2s_out_begin(route->remote, route->local, NULL);
}

void remote_attempt_begin(struct remote_route *route)
{
    struct s2s_policy policy;
    enum s2s_failure failure;
    const struct shard *shard = route->remote->shard;
    if (route->state == REMOTE_CONNECTING || route->state == REMOTE_LIVE) return;
    if (shard->stopping) {
        route->failure = S2S_CLOSED;
        route->state = REMOTE_DOWN;
    } else if (s2s_policy_of(shard_hosts(shard), route->local, route->remote->domain, &policy, &failure)) {
        begin(route);
    } else {
        remote_route_failed(route, failure, NULL);
    }
}

void remote_attempt_hurry(struct remote_route *route)
{
    if (route->state != REMOTE_DOWN) return;
    route->failures = 0;
    route->retry_ms = route->wake_ms = route->tried_ms + (route->tried_ms > 0 ? HURRY_MS : 0);
    if (route->wake_ms > now_ms(route)) {
        remote_attempt_schedule(route);
    } else if (remote_attempt_has_reason(route)) {
        remote_attempt_begin(route);
    } else {
        remote_attempt_forget(route);
        remote_route_release(route);
    }
}

void remote_attempt_found(struct remote_route *route, uint64_t rows, uint64_t bytes, int64_t oldest_ms, int64_t wait_ms)
{
    route->queue.count += rows;
    route->queue.bytes += bytes;
    route->queue.oldest_ms = oldest_ms;
    route->queue.behind = true;
    route->state = REMOTE_DOWN;
    route->failure = S2S_CONNECT;
    route->retry_ms = now_ms(route);
    route->wake_ms = route->retry_ms + wait_ms;
    remote_attempt_follow(route);
    remote_attempt_schedule(route);
}

void remote_attempt_follow(struct remote_route *route)
{
    struct s2s_policy policy;
    enum s2s_failure failure;
    const struct hosts *hosts = shard_hosts(route->remote->shard);
    if (route->state == REMOTE_IDLE) return;
    if (!s2s_policy_of(hosts, route->local, route->remote->domain, &policy, &failure)) {
        if (route->state == REMOTE_LIVE) remote_route_lost(route);
        remote_route_failed(route, failure, NULL);
    } else if (route->state == REMOTE_DOWN && (!remote_failure_row(route)->keeps || route->failing)) {
        route->failures = 0; /* perhaps that was what the change is about */
        route->retry_ms = now_ms(route);
        route->wake_ms = route->retry_ms + remote_backoff_below(REMOTE_BACKOFF_FIRST_MS);
        if (!remote_failure_row(route)->keeps) route->failure = S2S_CONNECT;
        remote_attempt_schedule(route);
    }
}
