#include "backend/control_s2s.h"

#include "backend/jid.h"
#include "backend/remote.h"
#include "backend/remote_route.h"
#include "backend/s2s_desk.h"
#include "backend/s2s_sm.h"
#include "backend/s2s_stream.h"
#include "backend/shard.h"
#include "backend/shard_tour.h"

#include <stdlib.h>
#include <string.h>

bool control_s2s_domain(struct control_request *request, char *out, bool *given)
{
    const char *text = control_arg_str(request, "domain"), *why = NULL;
    if (given) *given = text != NULL;
    if (!text && given) return true;
    if (text && jid_prepare_domain(text, out, &why) == 0) return true;
    control_fail(request, "usage", "expected a domain such as example.net%s%s", why ? ": " : "", why ? why : "");
    return false;
}

/* What is asked of all shards, one after the other. */
struct tour {
    struct control_request *request;
    char only[JID_PART_MAX_BYTES + 1]; /* a domain; "": all */
    json_t *list;
    json_int_t count;
};

static struct tour *tour_new(struct control_request *request)
{
    struct tour *tour = MEM_NEW(struct tour);
    tour->request = request;
    return tour;
}

/* Listing */

static json_int_t seconds_since(const struct shard *shard, int64_t then_ms)
{
    return (json_int_t)((loop_now_ms(shard->loop) - then_ms) / 1000);
}

/* What waits, and why, beside the stream that it waits for. */
static void add_route(json_t *row, const struct remote_route *route)
{
    const bool down = route && route->state == REMOTE_DOWN;
    const struct s2s_failure_row *failure =
        down || (route && route->failing) ? &S2S_FAILURE_ROWS[route->failure] : NULL;
    const int64_t left_ms = down ? route->wake_ms - loop_now_ms(route->remote->shard->loop) : 0;
    json_t *more =
        json_pack("{s:I, s:I, s:s?, s:s?, s:o}", "queued", route ? (json_int_t)route->queue.count : 0, "queued_bytes",
                  route ? (json_int_t)route->queue.bytes : 0, "failure", failure ? failure->name : NULL, "why",
                  failure ? (route->why ? route->why : failure->text) : NULL, "retry_s",
                  down ? json_integer(left_ms > 0 ? (json_int_t)(left_ms + 999) / 1000 : 0) : json_null());
    json_object_update_new(row, more);
}

static const char *direction_of(const struct s2s_stream *stream)
{
    if (stream->bidi && stream->state >= S2S_OPEN) return "both";
    return stream->outgoing ? "out" : "in";
}

static json_t *stream_row(const struct s2s_stream *stream, const char *domain, const char *local, enum s2s_proof proof)
{
    char peer[ADDR_TEXT_BYTES];
    const char *cipher = NULL, *version = s2s_stream_tls(stream, &cipher);
    const struct peer_stream *connection = stream->peer;
    return json_pack("{s:s?, s:s?, s:s, s:s, s:s?, s:s?, s:s?, s:s?, s:b, s:I, s:I, s:I, s:s?, s:s?, s:s?}", "domain",
                     domain, "local", local, "direction", direction_of(stream), "state", s2s_stream_state_name(stream),
                     "tls", version, "cipher", cipher, "tls_by",
                     version ? (stream->terminated ? "gateway" : "backend") : NULL, "proof", s2s_proof_name(proof),
                     "sm", s2s_sm_is_on(stream), "unacknowledged",
                     (json_int_t)(stream->unacked.sent - stream->unacked.acked), "since_s",
                     seconds_since(stream->shard, stream->begun_ms), "idle_s",
                     seconds_since(stream->shard, stream->used_ms), "conn", connection ? connection->conn : NULL,
                     "peer", connection ? addr_format(&connection->addr, ADDR_FULL, peer, sizeof(peer)) : NULL,
                     "certificate", stream->secure ? (stream->cert.why ? stream->cert.why : "valid") : NULL);
}

static bool is_asked_for(const struct tour *tour, const char *domain)
{
    return !tour->only[0] || (domain && strcmp(tour->only, domain) == 0);
}

static void add_stream(struct tour *tour, const struct s2s_stream *stream)
{
    if (list_empty(&stream->pairs) && is_asked_for(tour, stream->domain)) {
        json_t *row = stream_row(stream, stream->domain, stream->local, S2S_PROOF_NONE);
        add_route(row, NULL);
        json_array_append_new(tour->list, row);
    }
    LIST_EACH (link, &stream->pairs) {
        const struct s2s_pair *pair = LIST_ENTRY(link, struct s2s_pair, link);
        const struct remote_route *route = stream->remote ? remote_route_find(stream->remote, pair->local) : NULL;
        if (!is_asked_for(tour, pair->remote)) continue;
        json_t *row = stream_row(stream, pair->remote, pair->local, pair->proof);
        add_route(row, route && route->stream == stream ? route : NULL);
        json_array_append_new(tour->list, row);
    }
}

static void add_remote(struct remote *remote, void *arg)
{
    static const char *const NONE[] = {"tls",    "cipher", "tls_by", "proof",      "since_s",
                                       "idle_s", "conn",   "peer",   "certificate"};
    const struct tour *tour = arg;
    if (!is_asked_for(tour, remote->domain)) return;
    LIST_EACH (link, &remote->routes) {
        const struct remote_route *route = LIST_ENTRY(link, struct remote_route, link);
        if (route->stream) continue;
        json_t *row =
            json_pack("{s:s, s:s, s:s, s:s, s:b, s:i}", "domain", remote->domain, "local", route->local, "direction",
                      "out", "state", remote_state_name(route->state), "sm", 0, "unacknowledged", 0);
        for (size_t i = 0; i < ARRAY_LEN(NONE); i++)
            json_object_set_new(row, NONE[i], json_null());
        add_route(row, route);
        json_array_append_new(tour->list, row);
    }
}

static void list_shard(struct shard *shard, void *arg)
{
    LIST_EACH (link, &shard->s2s->all)
        add_stream(arg, LIST_ENTRY(link, struct s2s_stream, all));
    remotes_each(shard, add_remote, arg);
}

static void on_listed(void *arg)
{
    struct tour *tour = arg;
    control_reply(tour->request, tour->list);
    free(tour);
}

void control_s2s_list(struct control_request *request, void *arg)
{
    struct backend *backend = arg;
    struct tour *tour = tour_new(request);
    bool given = false;
    if (!control_s2s_domain(request, tour->only, &given)) {
        free(tour);
        return;
    }
    tour->list = json_array();
    shard_tour(backend, list_shard, backend->shards[0]->mailbox, on_listed, tour);
}

/* Closing: a stream that a domain has opened may be for another shard's first domain. */

static bool is_of(const struct s2s_stream *stream, const char *domain)
{
    if (stream->domain && strcmp(stream->domain, domain) == 0) return true;
    LIST_EACH (link, &stream->pairs)
        if (strcmp(LIST_ENTRY(link, struct s2s_pair, link)->remote, domain) == 0) return true;
    return false;
}

static void close_on(struct shard *shard, void *arg)
{
    struct tour *tour = arg;
    LIST_EACH (link, &shard->s2s->all) {
        struct s2s_stream *stream = LIST_ENTRY(link, struct s2s_stream, all);
        if (stream->state >= S2S_CLOSING || !is_of(stream, tour->only)) continue;
        s2s_stream_close(stream, END_KICKED);
        tour->count++;
    }
}

static void on_closed(void *arg)
{
    struct tour *tour = arg;
    if (tour->count > 0)
        control_reply(tour->request, json_pack("{s:I}", "streams", tour->count));
    else
        control_fail(tour->request, "not-found", "there is no stream to or from %s", tour->only);
    free(tour);
}

void control_s2s_close(struct control_request *request, void *arg)
{
    struct backend *backend = arg;
    struct tour *tour = tour_new(request);
    if (control_s2s_domain(request, tour->only, NULL))
        shard_tour(backend, close_on, backend->shards[0]->mailbox, on_closed, tour);
    else
        free(tour);
}

/* Trying again */

static void retry_remote(struct remote *remote, void *arg)
{
    struct tour *tour = arg;
    bool down = false;
    if (!is_asked_for(tour, remote->domain)) return;
    LIST_EACH (link, &remote->routes)
        down = down || LIST_ENTRY(link, struct remote_route, link)->state == REMOTE_DOWN;
    if (down) remote_retry(remote, NULL);
    tour->count += down;
}

static void retry_on(struct shard *shard, void *arg)
{
    remotes_each(shard, retry_remote, arg);
}

static void on_retried(void *arg)
{
    struct tour *tour = arg;
    if (tour->count > 0 || !tour->only[0])
        control_reply(tour->request, json_pack("{s:I}", "domains", tour->count));
    else
        control_fail(tour->request, "not-found", "%s is not waited for: nothing failed, or nobody writes to it",
                     tour->only);
    free(tour);
}

void control_s2s_retry(struct control_request *request, void *arg)
{
    struct backend *backend = arg;
    struct tour *tour = tour_new(request);
    const char *domain = control_arg_str(request, "domain");
    const bool all = domain && strcmp(domain, "all") == 0;
    if (all || control_s2s_domain(request, tour->only, NULL))
        shard_tour(backend, retry_on, backend->shards[0]->mailbox, on_retried, tour);
    else
        free(tour);
}
