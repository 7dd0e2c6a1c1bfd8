#include "backend/remote_queue.h"

#include "backend/delay.h"
#include "backend/elem_parse.h"
#include "backend/host.h"
#include "backend/ns.h"
#include "backend/offline.h"
#include "backend/remote.h"
#include "backend/remote_route.h"
#include "backend/s2s_policy.h"
#include "backend/s2s_stream.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "backend/subscription.h"
#include "lib/fault.h"
#include "lib/log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    LIVE_MESSAGES = 20000, /* more of them than the limit allows, while the other server takes them */
    LIVE_BYTES = 32 * 1024 * 1024,
    OUTPUT_ENOUGH_BYTES = 256 * 1024,      /* more is not read while so much waits for the kernel */
    AGE_MS_UNKNOWN = 7 * 24 * 3600 * 1000, /* of rows of a domain that is not ours any more */
};

bool remote_queue_keeps(const struct stanza *stanza)
{
    if (subscription_is(stanza)) return !subscription_comes_again(stanza);
    return offline_is_storable(stanza);
}

char *remote_queue_owner(const struct remote_route *route)
{
    return mem_asprintf("%s %s", route->remote->domain, route->local);
}

static struct shard *shard_of_route(const struct remote_route *route)
{
    return route->remote->shard;
}

/* A host that was taken out of the configuration may come back: its rows are left alone until they are too old. */
static bool is_ours(const struct remote_route *route)
{
    const struct hosts *hosts = shard_hosts(shard_of_route(route));
    return hosts_find(hosts, route->local) || hosts_component(hosts, route->local);
}

static int64_t age_ms(const struct remote_route *route)
{
    struct s2s_policy policy;
    enum s2s_failure failure;
    return s2s_policy_of(shard_hosts(shard_of_route(route)), route->local, route->remote->domain, &policy, &failure)
               ? policy.queue_age_ms
               : AGE_MS_UNKNOWN;
}

/* Adding */

void remote_queue_enter(struct remote_route *route, size_t bytes, int64_t stamp_ms)
{
    struct remote_queue *queue = &route->queue;
    if (queue->count == 0 || stamp_ms < queue->oldest_ms) queue->oldest_ms = stamp_ms;
    queue->count++;
    queue->bytes += bytes;
}

void remote_queue_left(struct remote_route *route, uint64_t rows, size_t bytes)
{
    struct remote_queue *queue = &route->queue;
    queue->count -= rows < queue->count ? rows : queue->count;
    queue->bytes -= bytes < queue->bytes ? bytes : queue->bytes;
    if (queue->count == 0) queue->bytes = 0;
}

/* A stanza on its way into the store. */
struct joining {
    struct remote_route *route;
    struct stanza *stanza;
    size_t arena_bytes; /* as counted in the shard's backlog */
    size_t text_bytes;
};

static void joining_end(struct joining *j)
{
    struct remote_route *route = j->route;
    atomic_fetch_sub(&shard_of_route(route)->backlog_bytes, j->arena_bytes);
    stanza_free(&j->stanza);
    free(j);
    remote_queue_run(route);
    remote_route_changed(route);
}

static void on_added(enum store_status status, uint64_t id, void *arg)
{
    struct joining *j = arg;
    struct remote_route *route = j->route;
    (void)id;
    route->queue.calls--;
    if (status == STORE_OK) {
        shard_count(shard_of_route(route), COUNTER_S2S_QUEUED);
    } else {
        remote_queue_left(route, 1, j->text_bytes);
        stanza_error_answer(shard_of_route(route), j->stanza, stanza_error_of_store(status), NULL);
    }
    joining_end(j);
}

/* The limits are of the domain, for all of ours together. */
static bool has_room(const struct remote_route *route, size_t bytes)
{
    struct s2s_policy policy;
    enum s2s_failure failure;
    uint64_t rows = 0, used = 0;
    const struct hosts *hosts = shard_hosts(shard_of_route(route));
    if (!s2s_policy_of(hosts, route->local, route->remote->domain, &policy, &failure)) return false;
    LIST_EACH (link, &route->remote->routes) {
        const struct remote_route *other = LIST_ENTRY(link, struct remote_route, link);
        rows += other->queue.count;
        used += other->queue.bytes;
    }
    /* nothing is in the way: who sends has been told to pause, and what still comes was under way between shards */
    const bool live = route->state == REMOTE_LIVE;
    return rows < policy.queue_messages + (live ? LIVE_MESSAGES : 0) &&
           used + bytes <= policy.queue_bytes + (live ? LIVE_BYTES : 0);
}

static void add_text(struct remote_route *route, struct stanza *stanza, const struct buf *text)
{
    struct shard *shard = shard_of_route(route);
    struct joining *j = MEM_NEW(struct joining);
    const int64_t stamp_ms = delay_now();
    char *owner = remote_queue_owner(route);
    j->route = route;
    j->stanza = stanza;
    j->arena_bytes = arena_bytes(stanza->elem->arena);
    j->text_bytes = buf_len(text);
    atomic_fetch_add(&shard->backlog_bytes, j->arena_bytes);
    remote_queue_enter(route, j->text_bytes, stamp_ms);
    route->queue.calls++;
    route->queue.joined++;
    route->queue.behind = true;
    store_queue_add(shard->backend->store, shard->mailbox, owner, STORE_REMOTE, stamp_ms, (const char *)buf_data(text),
                    buf_len(text), NULL, on_added, j);
    free(owner);
}

void remote_queue_add(struct remote_route *route, struct stanza *stanza)
{
    struct shard *shard = shard_of_route(route);
    struct buf text = {0};
    elem_print(stanza->elem, NS_CLIENT, &text);
    if (has_room(route, buf_len(&text))) {
        add_text(route, stanza, &text);
    } else {
        shard_count(shard, COUNTER_S2S_QUEUE_FULL);
        stanza_error_answer(shard, stanza, STANZA_ERROR_RESOURCE_CONSTRAINT,
                            "too many messages wait for that server already");
        stanza_free(&stanza);
    }
    buf_free(&text);
}

/* Taking out */

static void on_deleted(enum store_status status, void *arg)
{
    struct remote_route *route = arg;
    (void)status; /* the store has logged it; what is still there comes once more some day */
    route->queue.calls--;
    remote_route_changed(route);
}

void remote_queue_delete(struct remote_route *route, const uint64_t *ids, size_t count, size_t bytes)
{
    const struct shard *shard = shard_of_route(route);
    char *owner = remote_queue_owner(route);
    fault_point(FAULT_REMOTE_DELETE);
    remote_queue_left(route, count, bytes);
    route->queue.calls++;
    store_queue_del(shard->backend->store, shard->mailbox, owner, STORE_REMOTE, ids, count, 0, on_deleted, route);
    free(owner);
}

void remote_queue_purge(struct remote_route *route)
{
    const struct shard *shard = shard_of_route(route);
    char *owner = remote_queue_owner(route);
    route->queue.count = route->queue.bytes = 0;
    route->queue.epoch++; /* what is being read is not to be sent any more */
    route->queue.calls++;
    store_queue_del(shard->backend->store, shard->mailbox, owner, STORE_REMOTE, NULL, 0, UINT64_MAX, on_deleted, route);
    free(owner);
}

/* Reading */

enum purpose { SEND, REJECT, EXPIRE };

struct reading {
    struct remote_route *route;
    enum purpose purpose;
    unsigned epoch;
    uint64_t joined;
};

static struct stanza *read_stanza(const struct remote_route *route, const struct store_entry *entry)
{
    struct elem *elem = elem_parse(&shard_of_route(route)->parser, entry->text, entry->len);
    struct stanza *stanza = elem ? stanza_read(elem) : NULL;
    if (!stanza)
        log_msg(LOG_LEVEL_ERROR, "store_tampered",
                "what waits for %s: number %" PRIu64 " is not what this program writes", route->remote->domain,
                entry->id);
    return stanza;
}

/* Its sender is told, if it is one of ours still; then the row goes. */
static void reject(struct remote_route *route, const struct store_entry *entry, enum s2s_failure failure,
                   const char *text)
{
    struct shard *shard = shard_of_route(route);
    struct stanza *stanza = read_stanza(route, entry);
    if (stanza && is_ours(route)) stanza_error_answer(shard, stanza, S2S_FAILURE_ROWS[failure].error, text);
    stanza_free(&stanza);
    shard_count(shard, COUNTER_S2S_BOUNCED);
    remote_queue_delete(route, &entry->id, 1, entry->len);
}

static bool is_expired(const struct remote_route *route, const struct store_entry *entry)
{
    return entry->stamp_ms <= delay_now() - age_ms(route);
}

static void expire(struct remote_route *route, const struct store_entry *entry)
{
    shard_count(shard_of_route(route), COUNTER_S2S_EXPIRED);
    reject(route, entry, S2S_TIMEOUT, "the message has waited for that server for too long");
}

static bool has_way(const struct remote_route *route)
{
    return route->state == REMOTE_LIVE && s2s_unacked_has_room(&route->stream->unacked) &&
           s2s_stream_pending(route->stream) < OUTPUT_ENOUGH_BYTES;
}

static void send_row(struct remote_route *route, const struct store_entry *entry)
{
    struct stanza *stanza = read_stanza(route, entry);
    if (!stanza) { /* nobody can be told, and it must not be in the way for ever */
        remote_queue_delete(route, &entry->id, 1, entry->len);
        return;
    }
    delay_add(stanza->elem, route->local, entry->stamp_ms);
    stanza->stored_id = entry->id;
    remote_route_write(route, stanza, entry->len);
}

/* Returns whether all that was read has been sent: the stream may be lost by it, or have no more room. */
static bool send_slice(struct remote_route *route, const struct store_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (entries[i].id <= route->queue.cursor) continue; /* on its way since we asked */
        if (!has_way(route)) return false;
        route->queue.cursor = entries[i].id;
        if (is_expired(route, &entries[i])) {
            expire(route, &entries[i]);
        } else {
            send_row(route, &entries[i]);
        }
    }
    return true;
}

static void reject_slice(struct remote_route *route, const struct store_entry *entries, size_t count)
{
    const enum s2s_failure failure = route->failing ? route->failure : S2S_CLOSED;
    for (size_t i = 0; i < count; i++)
        reject(route, &entries[i], failure, S2S_FAILURE_ROWS[failure].text);
}

/* Rows are in order of time. */
static void expire_slice(struct remote_route *route, const struct store_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        route->queue.oldest_ms = entries[i].stamp_ms;
        if (!is_expired(route, &entries[i])) return;
        expire(route, &entries[i]);
    }
}

/* Nothing is there any more but what has been added since. */
static void on_bottom(struct remote_route *route, const struct reading *reading)
{
    struct remote_queue *queue = &route->queue;
    if (reading->joined != queue->joined) return;
    if (reading->purpose == REJECT) queue->rejecting = false;
    if (reading->purpose != SEND) return;
    queue->behind = false;
    remote_route_caught_up(route);
}

static void take_slice(struct remote_route *route, const struct reading *reading, const struct store_entry *entries,
                       size_t count)
{
    bool whole = true;
    if (reading->purpose == SEND) {
        whole = send_slice(route, entries, count);
    } else if (reading->purpose == REJECT) {
        reject_slice(route, entries, count);
    } else {
        expire_slice(route, entries, count);
    }
    if (whole && count < REMOTE_QUEUE_SLICE && reading->epoch == route->queue.epoch) on_bottom(route, reading);
}

/* What is wanted now: a new stream, or the end of hope, may have come since this was asked for. */
static bool is_wanted(const struct remote_route *route, const struct reading *reading)
{
    const struct remote_queue *queue = &route->queue;
    if (reading->purpose == SEND) return route->state == REMOTE_LIVE && reading->epoch == queue->epoch;
    if (reading->purpose == REJECT) return queue->rejecting;
    return route->state != REMOTE_LIVE && !queue->rejecting;
}

static void on_rows(enum store_status status, const struct store_entry *entries, size_t count, void *arg)
{
    const struct reading reading = *(struct reading *)arg;
    struct remote_route *route = reading.route;
    free(arg);
    route->queue.reading = false;
    if (status == STORE_OK && is_wanted(route, &reading)) take_slice(route, &reading, entries, count);
    if (status == STORE_OK) remote_queue_run(route);
    route->queue.calls--; /* until here it keeps the route */
    remote_route_changed(route);
}

static void read_rows(struct remote_route *route, enum purpose purpose, uint64_t after)
{
    const struct shard *shard = shard_of_route(route);
    struct reading *reading = MEM_NEW(struct reading);
    char *owner = remote_queue_owner(route);
    *reading = (struct reading){
        .route = route, .purpose = purpose, .epoch = route->queue.epoch, .joined = route->queue.joined};
    route->queue.reading = true;
    route->queue.calls++;
    store_queue_get(shard->backend->store, shard->mailbox, owner, STORE_REMOTE, after, REMOTE_QUEUE_SLICE, on_rows,
                    reading);
    free(owner);
}

int64_t remote_queue_due_ms(const struct remote_route *route)
{
    if (route->queue.count == 0) return INT64_MAX;
    const int64_t due_ms = route->queue.oldest_ms + age_ms(route) - delay_now();
    return due_ms > 0 ? due_ms : 0;
}

void remote_queue_run(struct remote_route *route)
{
    struct remote_queue *queue = &route->queue;
    if (queue->reading) return;
    if (queue->rejecting) {
        read_rows(route, REJECT, 0);
    } else if (route->state == REMOTE_LIVE && queue->behind) {
        if (has_way(route)) read_rows(route, SEND, queue->cursor);
    } else if (route->state != REMOTE_LIVE && remote_queue_due_ms(route) == 0) {
        queue->oldest_ms = delay_now(); /* until we know better */
        read_rows(route, EXPIRE, 0);
    }
}

void remote_queue_bounce(struct remote_route *route)
{
    route->queue.rejecting = true;
    remote_queue_run(route);
}

void remote_queue_begin(struct remote_route *route, uint64_t after)
{
    route->queue.epoch++;
    route->queue.cursor = after;
    route->queue.behind = route->queue.count > 0;
    if (route->queue.behind) {
        remote_queue_run(route);
    } else {
        remote_route_caught_up(route);
    }
}

void remote_queue_end(struct remote_route *route)
{
    route->queue.epoch++;
    route->queue.cursor = 0;
}
