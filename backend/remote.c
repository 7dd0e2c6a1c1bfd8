#include "backend/remote.h"

#include "backend/backend_config.h"
#include "backend/remote_attempt.h"
#include "backend/remote_route.h"
#include "backend/remote_waiting.h"
#include "backend/s2s_policy.h"
#include "backend/s2s_stream.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "lib/map.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_AGAIN_MS = 1000 }; /* at a stream that is idle, but wanted */

struct remotes *remotes_new(struct shard *shard)
{
    struct remotes *remotes = MEM_NEW(struct remotes);
    remotes->by_domain = map_new();
    remotes->connecting = deadline_queue_new(shard->loop, S2S_PROMISE_MS, remote_waiting_on_promise, shard);
    remotes->promise = deadline_queue_new(shard->loop, S2S_PROMISE_MS / 2, s2s_unacked_on_promise, shard);
    remotes->ping = deadline_queue_new(shard->loop, S2S_PING_MS, s2s_unacked_on_ping, shard);
    remotes->pong = deadline_queue_new(shard->loop, S2S_PONG_MS, s2s_unacked_on_no_pong, shard);
    return remotes;
}

static void remote_free(struct remote *remote)
{
    if (remote->idle) event_free(remote->idle);
    LIST_EACH (link, &remote->routes)
        remote_route_free(LIST_ENTRY(link, struct remote_route, link));
    free(remote->domain);
    free(remote);
}

static bool free_one(const void *key, size_t key_len, void *value, void *arg)
{
    (void)key, (void)key_len, (void)arg;
    remote_free(value);
    return true;
}

void remotes_free(struct remotes **remotes)
{
    struct remotes *r = *remotes;
    if (!r) return;
    *remotes = NULL;
    map_each(r->by_domain, free_one, NULL);
    map_free(&r->by_domain);
    deadline_queue_free(&r->connecting);
    deadline_queue_free(&r->promise);
    deadline_queue_free(&r->ping);
    deadline_queue_free(&r->pong);
    free(r);
}

struct remote *remote_find(struct shard *shard, const char *domain)
{
    return map_get_str(shard->remotes->by_domain, domain);
}

static struct remote *remote_new(struct shard *shard, const char *domain)
{
    struct remote *remote = MEM_NEW(struct remote);
    remote->shard = shard;
    remote->domain = mem_strdup(domain);
    list_init(&remote->streams);
    list_init(&remote->routes);
    return remote;
}

struct remote *remote_new_alone(struct shard *shard, const char *domain,
                                void (*unused)(struct remote *remote, void *arg), void *arg)
{
    struct remote *remote = remote_new(shard, domain);
    remote->unused = unused;
    remote->unused_arg = arg;
    return remote;
}

void remote_free_alone(struct remote *remote)
{
    remote_free(remote);
}

struct remote *remote_get(struct shard *shard, const char *domain)
{
    struct remote *remote = remote_find(shard, domain);
    if (remote) return remote;
    remote = remote_new(shard, domain);
    map_set_str(shard->remotes->by_domain, domain, remote);
    return remote;
}

void remote_release(struct remote *remote)
{
    if (remote->pins > 0 || !list_empty(&remote->streams) || !list_empty(&remote->routes)) return;
    if (remote->unused) {
        remote->unused(remote, remote->unused_arg);
        return;
    }
    map_del_str(remote->shard->remotes->by_domain, remote->domain);
    remote_free(remote);
}

static void pin(struct remote *remote)
{
    remote->pins++;
}

static void unpin(struct remote *remote)
{
    remote->pins--;
    remote_release(remote);
}

/* call - fn for each route (of local; NULL: of all our domains), which may be gone then; the remote is pinned. */
static void call(struct remote *remote, const char *local, void (*fn)(struct remote_route *route))
{
    LIST_EACH (link, &remote->routes) {
        struct remote_route *route = LIST_ENTRY(link, struct remote_route, link);
        if (!local || strcmp(local, route->local) == 0) fn(route);
    }
}

struct all {
    struct remote **items;
    size_t count, cap;
};

static bool collect(const void *key, size_t key_len, void *value, void *arg)
{
    struct all *all = arg;
    (void)key, (void)key_len;
    if (all->count == all->cap) {
        all->cap = all->cap ? all->cap * 2 : 64;
        all->items = mem_realloc(all->items, all->cap * sizeof(struct remote *));
    }
    pin(value);
    all->items[all->count++] = value;
    return true;
}

/* The map may not change while it is walked. */
void remotes_each(struct shard *shard, void (*fn)(struct remote *remote, void *arg), void *arg)
{
    struct all all = {0};
    map_each(shard->remotes->by_domain, collect, &all);
    for (size_t i = 0; i < all.count; i++) {
        fn(all.items[i], arg);
        unpin(all.items[i]);
    }
    free(all.items);
}

static void follow_route(struct remote_route *route)
{
    remote_attempt_follow(route);
    remote_route_release(route);
}

static void follow(struct remote *remote, void *arg)
{
    (void)arg;
    call(remote, NULL, follow_route);
}

void remotes_follow(struct shard *shard)
{
    remotes_each(shard, follow, NULL);
}

static void stop(struct remote *remote, void *arg)
{
    (void)arg;
    LIST_EACH (link, &remote->streams)
        s2s_unacked_ask(&LIST_ENTRY(link, struct s2s_stream, link)->unacked);
    call(remote, NULL, remote_route_stop);
}

void remotes_stop(struct shard *shard)
{
    remotes_each(shard, stop, NULL);
}

bool remote_deliver(struct shard *shard, struct stanza *stanza)
{
    struct remote *remote = remote_find(shard, stanza->to->domain);
    struct remote_route *route = remote ? remote_route_find(remote, stanza->from->domain) : NULL;
    struct s2s_policy policy;
    enum s2s_failure failure;
    if (route) return remote_route_deliver(route, stanza);
    if (!s2s_policy_of(shard_hosts(shard), stanza->from->domain, stanza->to->domain, &policy, &failure)) {
        stanza_error_bounce(shard, stanza, S2S_FAILURE_ROWS[failure].error);
        return true;
    }
    return remote_route_deliver(remote_route_get(remote_get(shard, stanza->to->domain), stanza->from->domain), stanza);
}

struct s2s_stream *remote_connect(struct remote *remote, const char *local)
{
    struct remote_route *route = remote_route_get(remote, local);
    remote_attempt_begin(route);
    struct s2s_stream *stream = route->stream;
    pin(remote);
    remote_route_release(route);
    remote->pins--; /* the caller sees to its end */
    return stream;
}

/* Administrators */

static void retry(struct remote_route *route)
{
    if (route->state != REMOTE_DOWN) return;
    route->failures = 0;
    remote_attempt_begin(route);
}

void remote_retry(struct remote *remote, const char *local)
{
    pin(remote);
    call(remote, local, retry);
    unpin(remote);
}

static void purge(struct remote_route *route)
{
    if (route->state != REMOTE_LIVE) remote_queue_purge(route);
}

static void bounce_queue(struct remote_route *route)
{
    if (route->state != REMOTE_LIVE) remote_queue_bounce(route);
}

void remote_purge(struct remote *remote, const char *local, bool bounce)
{
    pin(remote);
    call(remote, local, bounce ? bounce_queue : purge);
    unpin(remote);
}

void remote_close(struct remote *remote)
{
    pin(remote);
    LIST_EACH (link, &remote->streams)
        s2s_stream_close(LIST_ENTRY(link, struct s2s_stream, link), END_KICKED);
    unpin(remote);
}

/* Streams */

void remote_link_up(struct remote *remote, struct s2s_stream *stream, const char *local)
{
    struct remote_route *route = remote_route_find(remote, local);
    remote_watch(remote);
    if (route) remote_route_up(route, stream);
}

void remote_link_failed(struct remote *remote, const char *local, enum s2s_failure failure, const char *why)
{
    struct remote_route *route = remote_route_find(remote, local);
    if (!route || route->state != REMOTE_CONNECTING) return;
    if (route->joining && !remote->shard->stopping) {
        route->joining = false;
        route->stream = s2s_out_begin(remote, local, NULL);
        return;
    }
    pin(remote);
    remote_route_failed(route, failure, why);
    remote_route_release(route);
    remote->pins--; /* the stream keeps it, and lets it go */
}

void remote_link_gone(struct remote *remote, struct s2s_stream *stream)
{
    pin(remote);
    LIST_EACH (link, &remote->routes) {
        struct remote_route *route = LIST_ENTRY(link, struct remote_route, link);
        if (route->stream == stream && route->state == REMOTE_LIVE) remote_route_lost(route);
    }
    s2s_unacked_end(&stream->unacked);
    LIST_EACH (link, &remote->routes) {
        struct remote_route *route = LIST_ENTRY(link, struct remote_route, link);
        if (route->stream == stream)
            remote_link_failed(remote, route->local, S2S_BROKEN, NULL);
        else
            remote_route_changed(route);
    }
    remote->pins--; /* the stream keeps it, and lets it go */
}

static void drained(struct remote_route *route)
{
    remote_queue_run(route);
    remote_route_changed(route);
}

void remote_link_drained(struct remote *remote, struct s2s_stream *stream)
{
    (void)stream; /* the others read when they want to, whoever asks */
    pin(remote);
    call(remote, NULL, drained);
    unpin(remote);
}

struct heard {
    struct shard *shard;
    char domain[];
};

static void on_heard(void *arg)
{
    struct heard *heard = arg;
    struct remote *remote = remote_find(heard->shard, heard->domain);
    free(heard);
    if (!remote) return;
    pin(remote);
    remote_watch(remote);
    call(remote, NULL, remote_attempt_hurry);
    unpin(remote);
}

void remote_heard(struct shard *here, const char *domain)
{
    struct heard *heard = mem_alloc(sizeof(*heard) + strlen(domain) + 1);
    heard->shard = shard_of(here->backend, domain);
    memcpy(heard->domain, domain, strlen(domain) + 1);
    mailbox_post(heard->shard->mailbox, on_heard, heard);
}

bool remote_takes_answer(struct remote *remote, const struct stanza *answer)
{
    const char *id = elem_get(answer->elem, "id");
    if (!id || answer->kind != STANZA_IQ || answer->from->local) return false;
    LIST_EACH (link, &remote->streams)
        if (s2s_unacked_pong(&LIST_ENTRY(link, struct s2s_stream, link)->unacked, id)) return true;
    return false;
}

/* Streams that nobody uses */

static bool is_wanted(const struct remote *remote, const struct s2s_stream *stream)
{
    if (!list_empty(&stream->unacked.entries) || s2s_stream_pending(stream) > 0) return true;
    LIST_EACH (link, &remote->routes) {
        const struct remote_route *route = LIST_ENTRY(link, struct remote_route, link);
        if (route->stream == stream && (route->queue.behind || route->state == REMOTE_CONNECTING)) return true;
    }
    return false;
}

/* end_idle - close it if it has not been used for too long.  Returns in how many milliseconds to look again; -1: it
 * needs no looking after. */
static int64_t end_idle(const struct remote *remote, struct s2s_stream *stream)
{
    const int64_t idle_ms = stream->policy.idle_ms;
    if (!s2s_stream_is_open(stream) || idle_ms == 0) return -1;
    const int64_t left_ms = stream->used_ms + idle_ms - loop_now_ms(remote->shard->loop);
    if (left_ms > 0) return left_ms;
    if (is_wanted(remote, stream)) return LOOK_AGAIN_MS;
    s2s_stream_close(stream, END_IDLE);
    return -1;
}

static void on_idle(evutil_socket_t fd, short what, void *arg)
{
    struct remote *remote = arg;
    (void)fd, (void)what;
    int64_t next_ms = -1;
    LIST_EACH (link, &remote->streams) {
        const int64_t wait_ms = end_idle(remote, LIST_ENTRY(link, struct s2s_stream, link));
        if (wait_ms >= 0 && (next_ms < 0 || wait_ms < next_ms)) next_ms = wait_ms;
    }
    if (next_ms < 0) return;
    const struct timeval tv = {.tv_sec = next_ms / 1000, .tv_usec = next_ms % 1000 * 1000};
    CHECK(evtimer_add(remote->idle, &tv) == 0);
}

void remote_watch(struct remote *remote)
{
    if (!remote->idle) remote->idle = evtimer_new(loop_base(remote->shard->loop), on_idle, remote);
    CHECK(remote->idle);
    if (!evtimer_pending(remote->idle, NULL)) on_idle(-1, 0, remote);
}
