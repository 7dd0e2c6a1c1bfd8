#include "backend/s2s_resume.h"

#include "backend/ns.h"
#include "backend/remote.h"
#include "backend/s2s_desk.h"
#include "backend/s2s_in.h"
#include "backend/s2s_out.h"
#include "backend/shard.h"
#include "backend/sm_wire.h"
#include "lib/log.h"

#include <event2/event.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static struct s2s_sm_desk *desk_of(const struct s2s_sm *sm)
{
    return sm->shard->s2s->sm;
}

static struct s2s_sm *waiting_of(struct list *link)
{
    return LIST_ENTRY(link, struct s2s_sm, link);
}

/* Waiting */

static void log_sm(const struct s2s_sm *sm, const char *event)
{
    struct log_line line;
    log_begin(&line, LOG_LEVEL_INFO, event);
    log_str(&line, "direction", sm->outgoing ? "out" : "in");
    log_str(&line, "domain", sm->remote->domain);
    log_str(&line, "local", sm->local);
    log_end(&line);
}

static void give_up(struct s2s_sm *sm, enum backend_counter counter)
{
    log_sm(sm, "s2s_not_resumed");
    shard_count(sm->shard, counter);
    s2s_sm_free(sm);
}

static void on_expired(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    give_up(arg, COUNTER_S2S_SM_EXPIRED);
}

static void start_timer(struct s2s_sm *sm)
{
    const int64_t left_ms = sm->until_ms - loop_now_ms(sm->shard->loop), ms = left_ms > 0 ? left_ms : 0;
    const struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    if (!sm->timer) sm->timer = evtimer_new(loop_base(sm->shard->loop), on_expired, sm);
    CHECK(sm->timer && evtimer_add(sm->timer, &tv) == 0);
}

static void line_up(struct s2s_sm *sm)
{
    struct s2s_sm_desk *desk = desk_of(sm);
    loop_defer_cancel(&sm->later);
    sm->phase = S2S_SM_WAITING;
    sm->stream = NULL;
    sm->asked = sm->owes = false;
    list_append(&desk->waiting, &sm->link);
    desk->waiting_count++;
    start_timer(sm);
}

/* rival - the oldest of those that have to go for the newest: our own of the same pair; of those that others had
 * opened, one of the same domain when it has too many, or else any.  NULL: there is room. */
static struct s2s_sm *rival(const struct s2s_sm *newest)
{
    struct s2s_sm *oldest = NULL;
    unsigned count = 0;
    LIST_EACH (link, &desk_of(newest)->waiting) {
        struct s2s_sm *sm = waiting_of(link);
        if (sm == newest || sm->remote != newest->remote || sm->outgoing != newest->outgoing) continue;
        if (sm->outgoing && strcmp(sm->local, newest->local) != 0) continue;
        if (!oldest) oldest = sm;
        count++;
    }
    if (count >= (newest->outgoing ? 1 : S2S_SM_WAITING_EACH)) return oldest;
    if (desk_of(newest)->waiting_count <= S2S_SM_WAITING_MAX) return NULL;
    return waiting_of(list_first(&desk_of(newest)->waiting));
}

/* take_over - what the stream had is sm's own. */
static void take_over(struct s2s_sm *sm, struct s2s_stream *stream)
{
    stream->sm = NULL;
    sm->local = mem_strdup(stream->local);
    sm->remote->pins++;
    deadline_disarm(&sm->deadline);
    LIST_EACH (link, &stream->pairs) {
        struct s2s_pair *pair = LIST_ENTRY(link, struct s2s_pair, link);
        if (pair->proof == S2S_PROOF_NONE) continue;
        list_remove(link);
        list_append(&sm->pairs, link);
        pair->stream = NULL;
    }
    s2s_unacked_move(&sm->unacked, &stream->unacked);
    sm->until_ms = loop_now_ms(sm->shard->loop) + sm->resume_ms;
    line_up(sm);
    struct s2s_sm *other = rival(sm);
    if (other) give_up(other, COUNTER_S2S_SM_DROPPED);
}

bool s2s_resume_wait(struct s2s_stream *stream)
{
    struct s2s_sm *sm = stream->sm;
    const enum end_reason end = stream->peer ? stream->peer->end : END_DONE;
    const bool broken =
        end == END_CLIENT_EOF || end == END_CLIENT_RESET || end == END_SILENT || end == END_PING_TIMEOUT;
    if (!broken || !s2s_sm_is_on(stream) || !sm->id || stream->shard->stopping) return false;
    take_over(sm, stream);
    shard_count(sm->shard, COUNTER_S2S_SM_DETACHED);
    return true;
}

void s2s_resume_wait_on(struct s2s_sm *sm)
{
    if (sm->stream) sm->stream->sm = NULL;
    if (sm->shard->stopping) {
        s2s_sm_free(sm);
    } else {
        line_up(sm);
    }
}

/* owes - whether sm may have stanzas of local to the remote's domain to send. */
static bool owes(const struct s2s_sm *sm, const struct remote *remote, const char *local)
{
    if (sm->remote != remote || sm->spent || (!sm->bidi && sm->unacked.sent == sm->unacked.acked)) return false;
    LIST_EACH (link, &sm->pairs)
        if (strcmp(LIST_ENTRY(link, struct s2s_pair, link)->local, local) == 0) return true;
    return false;
}

bool s2s_resume_waits(const struct remote *remote, const char *local, bool ours)
{
    LIST_EACH (link, &remote->shard->s2s->sm->waiting) {
        const struct s2s_sm *sm = waiting_of(link);
        if (sm->outgoing == ours && owes(sm, remote, local)) return true;
    }
    return false;
}

void s2s_resume_spend(struct remote *remote, const char *local)
{
    LIST_EACH (link, &remote->shard->s2s->sm->waiting) {
        struct s2s_sm *sm = waiting_of(link);
        if (!owes(sm, remote, local)) continue;
        s2s_unacked_end(&sm->unacked);
        sm->spent = true;
    }
}

/* Resuming */

static void attach(struct s2s_sm *sm, struct s2s_stream *stream)
{
    list_remove(&sm->link);
    desk_of(sm)->waiting_count--;
    CHECK(evtimer_del(sm->timer) == 0);
    sm->phase = S2S_SM_RESUMING;
    sm->stream = stream;
    stream->sm = sm;
    stream->state = S2S_RESUMING;
}

/* The other server has so many of what was sent before.  false: it cannot. */
static bool take_h(struct s2s_sm *sm, struct s2s_unacked *unacked, uint32_t h)
{
    if (!sm->spent) return s2s_unacked_ack(unacked, sm->base + h);
    unacked->sent = unacked->acked = sm->base + h;
    return true;
}

static bool is_allowed(const struct s2s_stream *stream, const struct s2s_pair *pair)
{
    struct s2s_policy policy;
    enum s2s_failure failure;
    return !s2s_stream_pair(stream, pair->local, pair->remote, pair->ours) &&
           s2s_policy_of(stream->hosts, pair->local, pair->remote, &policy, &failure) &&
           (!policy.encrypt || stream->secure) && (!policy.secure || pair->proof == S2S_PROOF_CERTIFICATE);
}

/* finish - everything is the new stream's, but what is to be sent again is not sent yet. */
static void finish(struct s2s_sm *sm)
{
    struct s2s_stream *stream = sm->stream;
    LIST_EACH (link, &sm->pairs) {
        struct s2s_pair *pair = LIST_ENTRY(link, struct s2s_pair, link);
        if (!is_allowed(stream, pair)) {
            s2s_pair_free(pair);
            continue;
        }
        list_remove(link);
        list_append(&stream->pairs, link);
        pair->stream = stream;
    }
    free(sm->local);
    sm->local = NULL;
    s2s_unacked_move(&stream->unacked, &sm->unacked);
    sm->phase = S2S_SM_ON;
    sm->asked = sm->owes = sm->spent = false;
    sm->asked_after = stream->unacked.acked;
    sm->remote->pins--; /* the stream is one of its streams */
    shard_count(sm->shard, COUNTER_S2S_SM_RESUMED);
}

static void send_again(struct s2s_stream *stream, struct buf *out)
{
    s2s_unacked_print(&stream->unacked, out);
    s2s_stream_write(stream, out);
}

static void log_and_ask(struct s2s_stream *stream)
{
    s2s_stream_log(stream, "s2s_resumed");
    if (s2s_sm_is_on(stream) && !stream->sm->asked && stream->unacked.sent != stream->unacked.acked)
        s2s_sm_ask(stream->sm);
}

/* On the side that connects */

static void send_request(struct s2s_sm *sm)
{
    struct buf out = {0};
    sm->asked = true;
    sm->told = sm->inbox.handled;
    buf_printf(&out, "<resume xmlns='" NS_SM "' h='%u' previd='", sm->told);
    elem_escape(sm->id, strlen(sm->id), &out);
    buf_append_str(&out, "'/>");
    s2s_stream_write(sm->stream, &out);
}

bool s2s_resume_try(struct s2s_stream *stream)
{
    LIST_EACH (link, &stream->shard->s2s->sm->waiting) {
        struct s2s_sm *sm = waiting_of(link);
        if (!sm->outgoing || sm->remote != stream->remote || sm->bidi != stream->bidi) continue;
        if (strcmp(sm->local, stream->local) != 0) continue;
        attach(sm, stream);
        if (sm_inbox_is_settled(&sm->inbox)) send_request(sm);
        return true;
    }
    return false;
}

void s2s_resume_granted(struct s2s_stream *stream, const struct elem *resumed)
{
    struct s2s_sm *sm = stream->sm;
    struct buf out = {0};
    uint32_t h = 0;
    if (!sm_wire_number(resumed, "h", &h)) {
        s2s_stream_fail(stream, END_BAD_STANZA, "bad-format", "expected a number as h");
        s2s_sm_free(sm);
    } else if (!take_h(sm, &sm->unacked, h)) {
        s2s_sm_too_high(stream, sm, &sm->unacked, h);
        s2s_sm_free(sm);
    } else {
        finish(sm);
        send_again(stream, &out);
        s2s_out_open(stream);
        log_and_ask(stream);
    }
}

void s2s_resume_refused(struct s2s_stream *stream, const struct elem *failed)
{
    struct s2s_sm *sm = stream->sm;
    uint32_t h = 0;
    /* what it has all the same need not be sent again; a number that cannot be says nothing */
    if (!sm->spent && sm_wire_number(failed, "h", &h)) (void)!s2s_unacked_ack(&sm->unacked, sm->base + h);
    give_up(sm, COUNTER_S2S_SM_RESUME_FAILED);
}

/* On the side that was connected to */

static enum s2s_proof proof_in(const struct list *pairs, const char *local, const char *remote)
{
    LIST_EACH (link, pairs) {
        const struct s2s_pair *pair = LIST_ENTRY(link, struct s2s_pair, link);
        if (!pair->ours && strcmp(pair->local, local) == 0 && strcmp(pair->remote, remote) == 0) return pair->proof;
    }
    return S2S_PROOF_NONE;
}

/* may_take - whether sm, whose first domain of ours is local and which has these pairs, is what the stream asks for. */
static bool may_take(const struct s2s_sm *sm, const char *local, const struct list *pairs,
                     const struct s2s_stream *stream, const char *id)
{
    const char *domain = stream->remote->domain;
    if (sm->outgoing || sm->remote != stream->remote || sm->bidi != stream->bidi || !sm->id) return false;
    if (strlen(sm->id) != strlen(id) || CRYPTO_memcmp(sm->id, id, strlen(id)) != 0) return false;
    if (strcmp(local, stream->local) != 0) return false;
    const enum s2s_proof now = proof_in(&stream->pairs, local, domain), then = proof_in(pairs, local, domain);
    return now != S2S_PROOF_NONE && (then != S2S_PROOF_CERTIFICATE || now == S2S_PROOF_CERTIFICATE);
}

/* find - what waits under that id, or a stream that still seems to be alive. */
static struct s2s_sm *find(const struct s2s_stream *stream, const char *id)
{
    LIST_EACH (link, &stream->shard->s2s->sm->waiting) {
        struct s2s_sm *sm = waiting_of(link);
        if (may_take(sm, sm->local, &sm->pairs, stream, id)) return sm;
    }
    LIST_EACH (link, &stream->remote->streams) {
        struct s2s_stream *other = LIST_ENTRY(link, struct s2s_stream, link);
        struct s2s_sm *sm = other->sm;
        if (other == stream || !sm || sm->phase == S2S_SM_OFFERED) continue;
        const bool held = sm->phase == S2S_SM_RESUMING;
        if (may_take(sm, held ? sm->local : other->local, held ? &sm->pairs : &other->pairs, stream, id)) return sm;
    }
    return NULL;
}

/* free_from - sm waits, whichever stream it had, which is not alive any more whatever it seems. */
static void free_from(struct s2s_sm *sm)
{
    struct s2s_stream *old = sm->stream;
    if (!old) return;
    if (sm->phase == S2S_SM_RESUMING) {
        s2s_resume_wait_on(sm);
    } else {
        take_over(sm, old);
    }
    s2s_stream_fail(old, END_RESUMED, "conflict", "the stream goes on on another connection");
    remote_link_gone(sm->remote, old);
}

static void finish_request(struct s2s_sm *sm)
{
    struct s2s_stream *stream = sm->stream;
    struct buf out = {0};
    finish(sm);
    sm->told = sm->inbox.handled;
    sm_wire_resumed(sm->id, sm->told, &out);
    send_again(stream, &out);
    stream->state = S2S_OPEN;
    peer_go_on(stream->peer);
    s2s_in_link(stream);
    log_and_ask(stream);
}

void s2s_resume_request(struct s2s_stream *stream, const struct elem *elem)
{
    const char *id = elem_get(elem, "previd");
    uint32_t h = 0;
    if (!id || !sm_wire_number(elem, "h", &h)) {
        s2s_sm_refuse(stream, "bad-request");
        return;
    }
    struct s2s_sm *sm = find(stream, id);
    if (!sm) {
        shard_count(stream->shard, COUNTER_S2S_SM_RESUME_FAILED);
        s2s_sm_refuse(stream, "item-not-found");
        return;
    }
    struct s2s_unacked *unacked = sm->phase == S2S_SM_ON ? &sm->stream->unacked : &sm->unacked;
    /* who has lost count does no harm to the stream, which may be alive on another connection */
    if (!take_h(sm, unacked, h)) {
        s2s_sm_too_high(stream, sm, unacked, h);
        return;
    }
    free_from(sm);
    if (stream->sm) s2s_sm_free(stream->sm);
    attach(sm, stream);
    peer_hold(stream->peer);
    if (sm_inbox_is_settled(&sm->inbox)) finish_request(sm);
}

void s2s_resume_settled(struct s2s_sm *sm)
{
    if (sm->outgoing && !sm->asked) {
        send_request(sm);
    } else if (!sm->outgoing) {
        finish_request(sm);
    }
}
