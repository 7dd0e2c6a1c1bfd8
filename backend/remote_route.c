#include "backend/remote_route.h"

#include "backend/backend_config.h"
#include "backend/host.h"
#include "backend/ns.h"
#include "backend/presence_anew.h"
#include "backend/remote.h"
#include "backend/remote_backoff.h"
#include "backend/router.h"
#include "backend/s2s_policy.h"
#include "backend/s2s_resume.h"
#include "backend/s2s_stream.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "backend/subscription.h"
#include "lib/log.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROUTE_MAGIC = 0x726f7574,
    WAITING_MAX_BYTES = 1024 * 1024,  /* in memory, for a stream that is being set up */
    FAREWELLS_MAX_BYTES = 128 * 1024, /* likewise, for a domain that cannot be reached */
    PENDING_MAX_BYTES = 1024 * 1024,  /* for the kernel: then senders pause */
    BACKLOG_MAX_BYTES = 4 * 1024 * 1024,
    SOON_MS = 3000,       /* at most, from the loss of a stream to the first attempt to have another */
    THEIR_TURN_MS = 5000, /* more, when it is the other server's to resume the stream, unless somebody sends */
    HURRY_MS = 1000,      /* from one attempt to the next, however often the other server is heard */
};

const char *remote_state_name(enum remote_state state)
{
    static const char *const NAMES[] = {
        [REMOTE_IDLE] = "idle", [REMOTE_CONNECTING] = "connecting", [REMOTE_LIVE] = "live", [REMOTE_DOWN] = "down"};
    return NAMES[state];
}

static struct shard *shard_of_route(const struct remote_route *route)
{
    return route->remote->shard;
}

static int64_t now_ms(const struct remote_route *route)
{
    return loop_now_ms(shard_of_route(route)->loop);
}

static const struct s2s_failure_row *failure_row(const struct remote_route *route)
{
    return &S2S_FAILURE_ROWS[route->failure];
}

struct remote_route *remote_route_find(struct remote *remote, const char *local)
{
    LIST_EACH (link, &remote->routes) {
        struct remote_route *route = LIST_ENTRY(link, struct remote_route, link);
        CHECK_MAGIC(route, ROUTE_MAGIC);
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

static void drop_all(struct list *stanzas)
{
    LIST_EACH (link, stanzas) {
        struct stanza *stanza = LIST_ENTRY(link, struct stanza, link);
        list_remove(link);
        stanza_free(&stanza);
    }
}

static _Atomic uint32_t *slow_slot(struct backend *backend, const char *domain)
{
    return &backend->slow_routes[hash_bytes(domain, strlen(domain)) % BACKEND_SLOW_SLOTS];
}

bool remote_is_slow(struct backend *backend, const char *domain)
{
    return atomic_load_explicit(slow_slot(backend, domain), memory_order_relaxed) > 0;
}

static bool is_slow(const struct remote_route *route)
{
    return route->state == REMOTE_LIVE && s2s_unacked_is_behind(&route->stream->unacked);
}

/* tell_pace - have senders on all shards know. */
static void tell_pace(struct remote_route *route, bool slow)
{
    if (slow == route->slow) return;
    route->slow = slow;
    atomic_fetch_add(slow_slot(shard_of_route(route)->backend, route->remote->domain), slow ? 1U : -1U);
}

void remote_route_free(struct remote_route *route)
{
    tell_pace(route, false);
    list_remove(&route->link);
    deadline_disarm(&route->promise);
    if (route->timer) event_free(route->timer);
    drop_all(&route->waiting);
    drop_all(&route->farewells);
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

/* Times */

static void on_timer(evutil_socket_t fd, short what, void *arg);

static void set_timer(struct remote_route *route, int64_t wait_ms)
{
    if (!route->timer) route->timer = evtimer_new(loop_base(shard_of_route(route)->loop), on_timer, route);
    CHECK(route->timer);
    const struct timeval tv = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};
    CHECK(evtimer_add(route->timer, &tv) == 0);
}

static void stop_timer(struct remote_route *route)
{
    if (route->timer) event_del(route->timer);
}

/* No attempt before wait_ms are over. */
static void back_off(struct remote_route *route, int64_t wait_ms)
{
    route->retry_ms = route->wake_ms = now_ms(route) + wait_ms;
}

/* Whether it is worth an attempt of our own, without anybody who sends. */
static bool has_reason(const struct remote_route *route)
{
    return failure_row(route)->keeps &&
           (route->queue.count > 0 || route->presence_owed || s2s_resume_waits(route->remote, route->local, true));
}

/* The next time for something to happen to a route that is down: another attempt, rows that are too old, or that it is
 * forgotten. */
static void schedule(struct remote_route *route)
{
    if (route->state != REMOTE_DOWN || shard_of_route(route)->stopping) return;
    const int64_t wake_ms = route->wake_ms - now_ms(route), due_ms = remote_queue_due_ms(route);
    int64_t wait_ms = wake_ms < due_ms ? wake_ms : due_ms;
    if (wait_ms < 0) wait_ms = 0;
    set_timer(route, wait_ms);
}

static void forget(struct remote_route *route)
{
    route->state = REMOTE_IDLE;
    route->presence_owed = false;
    stop_timer(route);
    drop_all(&route->farewells);
    route->farewell_bytes = 0;
}

static bool is_ours(const struct remote_route *route)
{
    const struct hosts *hosts = shard_hosts(shard_of_route(route));
    return hosts_find(hosts, route->local) || hosts_component(hosts, route->local);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct remote_route *route = arg;
    (void)fd, (void)what;
    CHECK_MAGIC(route, ROUTE_MAGIC);
    if (route->state != REMOTE_DOWN) return;
    if (remote_queue_due_ms(route) == 0) remote_queue_run(route);
    if (now_ms(route) < route->wake_ms) {
        schedule(route);
    } else if (has_reason(route)) {
        remote_route_connect(route);
    } else if (route->queue.count == 0) {
        forget(route);
        remote_route_release(route);
    } else {
        route->wake_ms = now_ms(route) + REMOTE_BACKOFF_LAST_MS; /* rows of a host that is not ours any more */
        schedule(route);
    }
}

void remote_route_changed(struct remote_route *route)
{
    tell_pace(route, is_slow(route));
    if (route->state == REMOTE_DOWN && route->queue.count > 0) schedule(route);
    remote_route_release(route);
}

/* What cannot be sent */

static void keep_farewell(struct remote_route *route, struct stanza *stanza)
{
    const size_t bytes = arena_bytes(stanza->elem->arena);
    if (route->farewell_bytes + bytes > FAREWELLS_MAX_BYTES) {
        shard_count(shard_of_route(route), COUNTER_STANZAS_DROPPED);
        stanza_free(&stanza);
        return;
    }
    route->farewell_bytes += bytes;
    list_append(&route->farewells, &stanza->link);
}

/* RFC 6120 section 10.4.3 wants an error; nobody waits for one to a probe or to a farewell. */
static void refuse_presence(struct remote_route *route, struct stanza *stanza, const struct s2s_failure_row *row)
{
    if (row->keeps) route->presence_owed = true;
    if (stanza->type == STANZA_UNAVAILABLE && row->keeps) {
        keep_farewell(route, stanza);
        return;
    }
    if (stanza->type == STANZA_AVAILABLE) {
        stanza_error_answer(shard_of_route(route), stanza, row->error, row->text);
    } else {
        shard_count(shard_of_route(route), COUNTER_STANZAS_DROPPED);
    }
    stanza_free(&stanza);
}

void remote_route_refuse(struct remote_route *route, struct stanza *stanza, enum s2s_failure failure)
{
    const struct s2s_failure_row *row = &S2S_FAILURE_ROWS[failure];
    if (stanza->kind == STANZA_PRESENCE && !subscription_is(stanza)) {
        refuse_presence(route, stanza, row);
        return;
    }
    shard_count(shard_of_route(route), COUNTER_S2S_BOUNCED);
    stanza_error_answer(shard_of_route(route), stanza, row->error, row->text);
    stanza_free(&stanza);
}

/* A stanza for which there is no stream, and none soon. */
static void keep_or_refuse(struct remote_route *route, struct stanza *stanza)
{
    if (failure_row(route)->keeps && remote_queue_keeps(stanza)) {
        remote_queue_add(route, stanza);
    } else {
        remote_route_refuse(route, stanza, route->failure);
    }
}

/* Waiting for a stream */

static struct stanza *next_waiting(struct remote_route *route, struct list *link)
{
    struct stanza *stanza = LIST_ENTRY(link, struct stanza, link);
    list_remove(link);
    route->waiting_bytes -= arena_bytes(stanza->elem->arena);
    return stanza;
}

static void store_waiting(struct remote_route *route)
{
    deadline_disarm(&route->promise);
    LIST_EACH (link, &route->waiting)
        if (remote_queue_keeps(LIST_ENTRY(link, struct stanza, link)))
            remote_queue_add(route, next_waiting(route, link));
}

void remote_route_on_promise(struct deadline *deadline, void *shard)
{
    (void)shard;
    struct remote_route *route = CONTAINER_OF(deadline, struct remote_route, promise);
    CHECK_MAGIC(route, ROUTE_MAGIC);
    store_waiting(route);
}

static bool is_plain_presence(const struct stanza *stanza)
{
    return stanza->kind == STANZA_PRESENCE && !subscription_is(stanza);
}

/* Presence is not to overtake the subscription that it rests upon: it comes anew when the rows are gone. */
static bool is_held_by_rows(const struct remote_route *route, const struct stanza *stanza)
{
    return route->queue.behind && is_plain_presence(stanza);
}

static void put_off(struct remote_route *route, struct stanza *stanza)
{
    route->presence_owed = true;
    if (stanza->type == STANZA_UNAVAILABLE) {
        keep_farewell(route, stanza);
    } else {
        stanza_free(&stanza);
    }
}

static void wait_for_stream(struct remote_route *route, struct stanza *stanza)
{
    const bool keeps = remote_queue_keeps(stanza);
    const size_t bytes = arena_bytes(stanza->elem->arena);
    if (keeps && (route->queue.count > 0 || route->waiting_bytes + bytes > WAITING_MAX_BYTES)) {
        store_waiting(route);
        remote_queue_add(route, stanza);
    } else if (route->queue.count > 0 && is_plain_presence(stanza)) {
        put_off(route, stanza);
    } else if (route->waiting_bytes + bytes > WAITING_MAX_BYTES) {
        remote_route_refuse(route, stanza, S2S_CROWDED);
    } else {
        route->waiting_bytes += bytes;
        list_append(&route->waiting, &stanza->link);
        if (keeps && !list_linked(&route->promise.link))
            deadline_arm(shard_of_route(route)->remotes->connecting, &route->promise);
    }
}

/* Sending */

void remote_route_write(struct remote_route *route, struct stanza *stanza, size_t row_bytes)
{
    struct s2s_stream *stream = route->stream;
    struct buf text = {0};
    elem_print(stanza->elem, NS_CLIENT, &text);
    stream->used_ms = now_ms(route);
    shard_count(shard_of_route(route), COUNTER_S2S_OUT);
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
        put_off(route, stanza);
    } else {
        remote_route_write(route, stanza, 0);
    }
}

static bool is_open(const struct s2s_stream *stream)
{
    return stream->state == S2S_OPEN || stream->state == S2S_PAUSED;
}

static void take(struct remote_route *route, struct stanza *stanza)
{
    switch (route->state) {
    case REMOTE_LIVE:
        send_now(route, stanza);
        break;
    case REMOTE_CONNECTING:
        wait_for_stream(route, stanza);
        break;
    default:
        keep_or_refuse(route, stanza);
    }
}

bool remote_route_deliver(struct remote_route *route, struct stanza *stanza)
{
    struct shard *shard = shard_of_route(route);
    if (route->state == REMOTE_LIVE && !is_open(route->stream)) remote_route_lost(route);
    if (route->state == REMOTE_IDLE || (route->state == REMOTE_DOWN && now_ms(route) >= route->retry_ms))
        remote_route_connect(route);
    take(route, stanza);
    const size_t pending = route->stream ? s2s_stream_pending(route->stream) : 0;
    const bool slow = is_slow(route);
    if (slow) s2s_unacked_ask(&route->stream->unacked); /* not later: others wait */
    remote_route_changed(route);
    return !slow && pending <= PENDING_MAX_BYTES && atomic_load(&shard->backlog_bytes) <= BACKLOG_MAX_BYTES;
}

/* Setting up */

static void log_change(const struct remote_route *route)
{
    struct log_line line;
    log_begin(&line, route->failing ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, route->failing ? "s2s_failed" : "s2s_recovered");
    log_str(&line, "domain", route->remote->domain);
    log_str(&line, "local", route->local);
    if (route->failing) {
        log_str(&line, "failure", failure_row(route)->name);
        log_str(&line, "why", route->why ? route->why : failure_row(route)->text);
        log_str(&line, "advice", failure_row(route)->advice);
    }
    log_uint(&line, "queued", route->queue.count);
    log_end(&line);
}

/* Returns whether that is news. */
static bool set_failure(struct remote_route *route, enum s2s_failure failure, const char *why)
{
    const bool known = route->failing && route->failure == failure;
    free(route->why);
    route->why = mem_strdup(why);
    route->failure = failure;
    route->failing = true;
    return !known;
}

void remote_route_failed(struct remote_route *route, enum s2s_failure failure, const char *why)
{
    struct shard *shard = shard_of_route(route);
    struct list waiting;
    route->state = REMOTE_DOWN;
    route->stream = NULL;
    route->joining = false;
    route->failures++;
    back_off(route, remote_backoff_ms(route->failures, remote_backoff_random()));
    deadline_disarm(&route->promise);
    const bool news = set_failure(route, failure, why);
    shard_count(shard, COUNTER_S2S_FAILED);
    list_init(&waiting);
    LIST_EACH (link, &route->waiting)
        list_append(&waiting, &next_waiting(route, link)->link);
    LIST_EACH (link, &waiting) {
        list_remove(link);
        keep_or_refuse(route, LIST_ENTRY(link, struct stanza, link));
    }
    if (news) log_change(route); /* with what waits now */
    if (!failure_row(route)->keeps && is_ours(route)) route->queue.rejecting = route->queue.count > 0;
    remote_queue_run(route);
    schedule(route);
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
        if (!stream->outgoing || !is_open(stream) || !s2s_out_join(stream, route->local)) continue;
        route->stream = stream;
        route->joining = true;
        return true;
    }
    return false;
}

static void begin(struct remote_route *route)
{
    stop_timer(route);
    route->state = REMOTE_CONNECTING;
    route->tried_ms = now_ms(route);
    if (!use_other(route)) route->stream = s2s_out_begin(route->remote, route->local, NULL);
}

void remote_route_connect(struct remote_route *route)
{
    struct s2s_policy policy;
    enum s2s_failure failure;
    const struct shard *shard = shard_of_route(route);
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

void remote_route_hurry(struct remote_route *route)
{
    if (route->state != REMOTE_DOWN) return;
    route->failures = 0;
    route->retry_ms = route->wake_ms = route->tried_ms + (route->tried_ms > 0 ? HURRY_MS : 0);
    if (route->wake_ms > now_ms(route)) {
        schedule(route);
    } else if (has_reason(route)) {
        remote_route_connect(route);
    } else {
        forget(route);
        remote_route_release(route);
    }
}

void remote_route_found(struct remote_route *route, uint64_t rows, uint64_t bytes, int64_t oldest_ms, int64_t wait_ms)
{
    route->queue.count += rows;
    route->queue.bytes += bytes;
    route->queue.oldest_ms = oldest_ms;
    route->queue.behind = true;
    route->state = REMOTE_DOWN;
    route->failure = S2S_CONNECT;
    route->retry_ms = now_ms(route);
    route->wake_ms = route->retry_ms + wait_ms;
    remote_route_follow(route);
    schedule(route);
}

/* Up and down */

void remote_route_caught_up(struct remote_route *route)
{
    struct list farewells;
    if (!route->presence_owed && list_empty(&route->farewells)) return;
    const bool anew = route->presence_owed;
    route->presence_owed = false;
    route->farewell_bytes = 0;
    list_init(&farewells);
    LIST_EACH (link, &route->farewells) {
        list_remove(link);
        list_append(&farewells, link);
    }
    LIST_EACH (link, &farewells) {
        struct stanza *stanza = LIST_ENTRY(link, struct stanza, link);
        list_remove(link);
        take(route, stanza);
    }
    if (anew) presence_anew(shard_of_route(route)->backend, route->local, route->remote->domain);
}

static void send_waiting(struct remote_route *route)
{
    struct list waiting;
    list_init(&waiting);
    deadline_disarm(&route->promise);
    LIST_EACH (link, &route->waiting)
        list_append(&waiting, &next_waiting(route, link)->link);
    LIST_EACH (link, &waiting) {
        list_remove(link);
        take(route, LIST_ENTRY(link, struct stanza, link));
    }
}

void remote_route_up(struct remote_route *route, struct s2s_stream *stream)
{
    struct remote *remote = route->remote;
    if (route->state == REMOTE_LIVE && is_open(route->stream)) return;
    if (route->state == REMOTE_LIVE) remote_route_lost(route);
    stop_timer(route);
    route->state = REMOTE_LIVE;
    route->stream = stream;
    route->joining = false;
    route->failures = 0;
    if (route->failing) {
        route->failing = false;
        log_change(route);
    }
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
    const struct shard *shard = shard_of_route(route);
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
    back_off(route, closed ? remote_backoff_ms(1, remote_backoff_random()) : 0);
    if (closed) route->retry_ms = now_ms(route); /* what waits is in no hurry, but who writes now need not wait */
    if (!closed) route->wake_ms += remote_backoff_below(SOON_MS) + (theirs ? THEIR_TURN_MS : 0);
    if (closed || has_reason(route)) {
        schedule(route);
    } else {
        forget(route);
    }
}

/* The hosts have changed. */
void remote_route_follow(struct remote_route *route)
{
    struct s2s_policy policy;
    enum s2s_failure failure;
    const struct hosts *hosts = shard_hosts(shard_of_route(route));
    if (route->state == REMOTE_IDLE) return;
    if (!s2s_policy_of(hosts, route->local, route->remote->domain, &policy, &failure)) {
        if (route->state == REMOTE_LIVE) remote_route_lost(route);
        remote_route_failed(route, failure, NULL);
    } else if (route->state == REMOTE_DOWN && (!failure_row(route)->keeps || route->failing)) {
        route->failures = 0; /* perhaps that was what the change is about */
        route->retry_ms = now_ms(route);
        route->wake_ms = route->retry_ms + remote_backoff_below(REMOTE_BACKOFF_FIRST_MS);
        if (!failure_row(route)->keeps) route->failure = S2S_CONNECT;
        schedule(route);
    }
}

void remote_route_stop(struct remote_route *route)
{
    stop_timer(route);
    store_waiting(route);
}
