#include "backend/remote_route.h"

#include "backend/host.h"
#include "backend/ns.h"
#include "backend/presence_anew.h"
#include "backend/remote.h"
#include "backend/remote_attempt.h"
#include "backend/remote_backoff.h"
#include "backend/remote_failure.h"
#include "backend/remote_refusal.h"
#include "backend/remote_waiting.h"
#include "backend/s2s_resume.h"
#include "backend/s2s_stream.h"
#include "backend/shard.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROUTE_MAGIC = 0x726f7574,
    PENDING_MAX_BYTES = 1024 * 1024, /* for the kernel: then senders pause */
    BACKLOG_MAX_BYTES = 4 * 1024 * 1024,
    SOON_MS = 3000,       /* at most, from the loss of a stream to the first attempt to have another */
    THEIR_TURN_MS = 5000, /* more, when it is the other server's to resume the stream, unless somebody sends */
};

const char *remote_state_name(enum remote_state state)
{
    static const char *const NAMES[] = {
        [REMOTE_IDLE] = "idle", [REMOTE_CONNECTING] = "connecting", [REMOTE_LIVE] = "live", [REMOTE_DOWN] = "down"};
    return NAMES[state];
}

static int64_t now_ms(const struct remote_route *route)
{
    return loop_now_ms(route->remote->shard->loop);
}

struct remote_route *remote_route_of(void *arg)
{
    struct remote_route *route = arg;
    CHECK_MAGIC(route, ROUTE_MAGIC);
    return route;
}

struct remote_route *remote_route_find(struct remote *remote, const char *local)
{
    LIST_EACH (link, &remote->routes) {
        struct remote_route *route = remote_route_of(LIST_ENTRY(link, struct remote_route, link));
        if (strcmp(route->local, local) == 0) return route;
    }
    return NULL;
}

struct remote_route *remote_route_get(struct remote *remote, const char *local)
{
    struct remote_route *route = remote_route_find(remote, local);
    if (route) return route;
    route = MEM_NEW(struct remote_route);
    route->magic = ROUTE_MAGIC;
    route->remote = remote;
    route->local = mem_strdup(local);
    list_init(&route->waiting);
    list_init(&route->farewells);
    list_append(&remote->routes, &route->link);
    return route;
}

static _Atomic uint32_t *slow_slot(struct backend *backend, const char *domain)
{
    return &backend->slow_routes[hash_bytes(domain, strlen(domain)) % BACKEND_SLOW_SLOTS];
}

bool remote_is_slow(struct backend *backend, const char *domain)
{
    return atomic_load_explicit(slow_slot(backend, domain), memory_order_relaxed) > 0;
}

/* It takes less than it is sent: what is on its way, or what waits behind that, is much. */
static bool is_slow(const struct remote_route *route)
{
    const bool many_rows = route->queue.behind && route->queue.count > S2S_WINDOW;
    return route->state == REMOTE_LIVE && (many_rows || s2s_unacked_is_behind(&route->stream->unacked));
}

/* tell_pace - have senders on all shards know. */
static void tell_pace(struct remote_route *route, bool slow)
{
    if (slow == route->slow) return;
    route->slow = slow;
    atomic_fetch_add(slow_slot(route->remote->shard->backend, route->remote->domain), slow ? 1U : -1U);
}

void remote_route_free(struct remote_route *route)
{
    tell_pace(route, false);
    list_remove(&route->link);
    if (route->timer) event_free(route->timer);
    remote_waiting_drop(route);
    free(route->local);
    free(route->why);
    route->magic = 0;
    free(route);
}

void remote_route_release(struct remote_route *route)
{
    struct remote *remote = route->remote;
    if (route->state != REMOTE_IDLE || route->queue.count > 0 || route->queue.calls > 0 || route->entries > 0) return;
    remote_route_free(route);
    remote_release(remote);
}

void remote_route_changed(struct remote_route *route)
{
    tell_pace(route, is_slow(route));
    if (route->state == REMOTE_DOWN && route->queue.count > 0) remote_attempt_schedule(route);
    remote_route_release(route);
}

/* Sending */

/* Presence is not to overtake the subscription that it rests upon: it comes anew when the rows are gone. */
static bool is_held_by_rows(const struct remote_route *route, const struct stanza *stanza)
{
    return route->queue.behind && remote_waiting_is_presence(stanza);
}

void remote_route_write(struct remote_route *route, struct stanza *stanza, size_t row_bytes)
{
    struct s2s_stream *stream = route->stream;
    struct buf text = {0};
    elem_print(stanza->elem, NS_CLIENT, &text);
    stream->used_ms = now_ms(route);
    shard_count(route->remote->shard, COUNTER_S2S_OUT);
    s2s_unacked_add(&stream->unacked, route, stanza, &text, row_bytes);
    s2s_stream_write(stream, &text);
    stanza_free(&stanza);
}

static void send_now(struct remote_route *route, struct stanza *stanza)
{
    struct s2s_unacked *unacked = &route->stream->unacked;
    if (remote_queue_keeps(stanza) && (route->queue.behind || !s2s_unacked_has_room(unacked))) {
        if (!route->queue.behind) s2s_unacked_store(unacked); /* they come before it in the store as well */
        remote_queue_add(route, stanza);
        remote_queue_run(route);
    } else if (is_held_by_rows(route, stanza)) {
        remote_waiting_put_off(route, stanza);
    } else {
        remote_route_write(route, stanza, 0);
    }
}

/* A stanza for which there is no stream, and none soon. */
static void keep_or_refuse(struct remote_route *route, struct stanza *stanza)
{
    if (remote_failure_row(route)->keeps && remote_queue_keeps(stanza)) {
        remote_queue_add(route, stanza);
    } else {
        remote_refusal_answer(route, stanza, route->failure);
    }
}

static void take(struct remote_route *route, struct stanza *stanza)
{
    switch (route->state) {
    case REMOTE_LIVE:
        send_now(route, stanza);
        break;
    case REMOTE_CONNECTING:
        remote_waiting_add(route, stanza);
        break;
    default:
        keep_or_refuse(route, stanza);
    }
}

bool remote_route_deliver(struct remote_route *route, struct stanza *stanza)
{
    struct shard *shard = route->remote->shard;
    if (route->state == REMOTE_LIVE && !s2s_stream_is_open(route->stream)) remote_route_lost(route);
    if (route->state == REMOTE_IDLE || (route->state == REMOTE_DOWN && now_ms(route) >= route->retry_ms))
        remote_attempt_begin(route);
    take(route, stanza);
    const size_t pending = route->stream ? s2s_stream_pending(route->stream) : 0;
    const bool slow = is_slow(route);
    if (slow) s2s_unacked_ask(&route->stream->unacked); /* not later: others wait */
    remote_route_changed(route);
    return !slow && pending <= PENDING_MAX_BYTES && atomic_load(&shard->backlog_bytes) <= BACKLOG_MAX_BYTES;
}

/* Up and down */

static bool is_ours(const struct remote_route *route)
{
    const struct hosts *hosts = shard_hosts(route->remote->shard);
    return hosts_find(hosts, route->local) || hosts_component(hosts, route->local);
}

void remote_route_failed(struct remote_route *route, enum s2s_failure failure, const char *why)
{
    struct shard *shard = route->remote->shard;
    struct list waiting;
    route->state = REMOTE_DOWN;
    route->stream = NULL;
    route->joining = false;
    route->failures++;
    remote_attempt_back_off(route, remote_backoff_ms(route->failures, remote_backoff_random()));
    remote_failure_set(route, failure, why);
    shard_count(shard, COUNTER_S2S_FAILED);
    list_init(&waiting);
    remote_waiting_take(route, &waiting);
    LIST_EACH (link, &waiting) {
        list_remove(link);
        keep_or_refuse(route, LIST_ENTRY(link, struct stanza, link));
    }
    remote_failure_tell(route); /* with what waits now */
    if (!remote_failure_row(route)->keeps && is_ours(route)) route->queue.rejecting = route->queue.count > 0;
    remote_queue_run(route);
    remote_attempt_schedule(route);
}

void remote_route_caught_up(struct remote_route *route)
{
    struct list farewells;
    if (!route->presence_owed && list_empty(&route->farewells)) return;
    const bool anew = route->presence_owed;
    route->presence_owed = false;
    list_init(&farewells);
    remote_waiting_take_farewells(route, &farewells);
    LIST_EACH (link, &farewells) {
        struct stanza *stanza = LIST_ENTRY(link, struct stanza, link);
        list_remove(link);
        take(route, stanza);
    }
    if (anew) presence_anew(route->remote->shard->backend, route->local, route->remote->domain);
}

static void send_waiting(struct remote_route *route)
{
    struct list waiting;
    list_init(&waiting);
    remote_waiting_take(route, &waiting);
    LIST_EACH (link, &waiting) {
        list_remove(link);
        take(route, LIST_ENTRY(link, struct stanza, link));
    }
}

void remote_route_up(struct remote_route *route, struct s2s_stream *stream)
{
    struct remote *remote = route->remote;
    if (route->state == REMOTE_LIVE && s2s_stream_is_open(route->stream)) return;
    if (route->state == REMOTE_LIVE) remote_route_lost(route);
    remote_attempt_stop(route);
    route->state = REMOTE_LIVE;
    route->stream = stream;
    route->joining = false;
    route->failures = 0;
    if (route->failing) remote_failure_over(route);
    remote_watch(remote);
    route->queue.rejecting = false;
    s2s_resume_spend(remote, route->local);
    remote_queue_begin(route, s2s_unacked_last(&stream->unacked, route));
    send_waiting(route);
}

/* An end that says nothing against another stream: what was sent has been read. */
static bool is_orderly(const struct s2s_stream *stream)
{
    if (!stream->peer) return false;
    return stream->peer->end == END_DONE || stream->peer->end == END_IDLE || stream->peer->end == END_SHUTDOWN;
}

void remote_route_lost(struct remote_route *route)
{
    struct s2s_stream *stream = route->stream;
    const struct shard *shard = route->remote->shard;
    const bool closed = stream->peer && stream->peer->end == END_KICKED;
    const bool ours = s2s_resume_waits(route->remote, route->local, true),
               theirs = s2s_resume_waits(route->remote, route->local, false);
    if (!is_orderly(stream) && !ours && !theirs) route->presence_owed = true;
    route->stream = NULL;
    remote_queue_end(route);
    s2s_unacked_store(&stream->unacked);
    route->queue.behind = route->queue.count > 0;
    route->state = REMOTE_DOWN;
    tell_pace(route, false);
    route->failure = closed ? S2S_CLOSED : S2S_BROKEN;
    route->failures = 0;
    if (shard->stopping) return;
    route->tried_ms = 0;
    remote_attempt_back_off(route, closed ? remote_backoff_ms(1, remote_backoff_random()) : 0);
    if (closed) route->retry_ms = now_ms(route); /* what waits is in no hurry, but who writes now need not wait */
    if (!closed) route->wake_ms += remote_backoff_below(SOON_MS) + (theirs ? THEIR_TURN_MS : 0);
    if (closed || remote_attempt_has_reason(route)) {
        remote_attempt_schedule(route);
    } else {
        remote_attempt_forget(route);
    }
}

void remote_route_stop(struct remote_route *route)
{
    remote_attempt_stop(route);
    remote_waiting_store(route);
}
