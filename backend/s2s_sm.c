#include "backend/s2s_sm.h"

#include "backend/backend_config.h"
#include "backend/dialback.h"
#include "backend/host.h"
#include "backend/ns.h"
#include "backend/remote.h"
#include "backend/s2s_desk.h"
#include "backend/s2s_in.h"
#include "backend/s2s_out.h"
#include "backend/s2s_resume.h"
#include "backend/shard.h"
#include "backend/sm_wire.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum { SM_MAGIC = 0x73327373, ASK_AFTER_STANZAS = 8, ID_MAX_BYTES = 4000 };

static struct s2s_sm *sm_of(void *arg)
{
    struct s2s_sm *sm = arg;
    CHECK_MAGIC(sm, SM_MAGIC);
    return sm;
}

static struct s2s_sm_desk *desk_of(const struct s2s_sm *sm)
{
    return sm->shard->s2s->sm;
}

bool s2s_sm_is_on(const struct s2s_stream *stream)
{
    return stream->sm && stream->sm->phase == S2S_SM_ON;
}

void s2s_sm_feature(struct buf *out)
{
    buf_append_str(out, "<sm xmlns='" NS_SM "'/>");
}

/* The life of one */

struct s2s_sm *s2s_sm_new(struct s2s_stream *stream, enum s2s_sm_phase phase)
{
    struct s2s_sm *sm = MEM_NEW(struct s2s_sm);
    sm->magic = SM_MAGIC;
    sm->phase = phase;
    sm->shard = stream->shard;
    sm->stream = stream;
    sm->remote = stream->remote;
    sm->outgoing = stream->outgoing;
    sm->bidi = stream->bidi;
    list_init(&sm->pairs);
    s2s_unacked_init(&sm->unacked, NULL);
    stream->sm = sm;
    return sm;
}

void s2s_sm_free(struct s2s_sm *sm)
{
    struct remote *remote = sm->remote;
    const bool pinned = sm->phase == S2S_SM_WAITING || sm->phase == S2S_SM_RESUMING;
    if (sm->stream) sm->stream->sm = NULL;
    if (sm->phase == S2S_SM_WAITING) desk_of(sm)->waiting_count--;
    list_remove(&sm->link);
    deadline_disarm(&sm->deadline);
    loop_defer_cancel(&sm->later);
    if (sm->timer) event_free(sm->timer);
    sm_inbox_close(&sm->inbox);
    s2s_unacked_end(&sm->unacked);
    while (!list_empty(&sm->pairs))
        s2s_pair_free(LIST_ENTRY(list_first(&sm->pairs), struct s2s_pair, link));
    free(sm->local);
    free(sm->id);
    sm->magic = 0;
    free(sm);
    if (!pinned) return;
    remote->pins--;
    remote_release(remote);
}

static void on_all_settled(void *arg)
{
    struct s2s_sm *sm = sm_of(arg);
    if (sm->phase == S2S_SM_RESUMING) s2s_resume_settled(sm);
}

static void do_later(struct s2s_sm *sm);

static void on_settled(struct sm_inbox *inbox)
{
    struct s2s_sm *sm = sm_of(CONTAINER_OF(inbox, struct s2s_sm, inbox));
    if (sm->phase == S2S_SM_RESUMING) {
        sm->later.fn = on_all_settled;
        sm->later.arg = sm;
        loop_defer(sm->shard->loop, &sm->later);
    } else if (sm->phase == S2S_SM_ON && sm->owes) {
        do_later(sm);
    }
}

void s2s_sm_on(struct s2s_sm *sm)
{
    deadline_disarm(&sm->deadline);
    sm->phase = S2S_SM_ON;
    sm_inbox_open(&sm->inbox, sm->shard, on_settled);
    sm->base = sm->asked_after = s2s_unacked_manage(&sm->stream->unacked);
    shard_count(sm->shard, COUNTER_S2S_SM_ENABLED);
}

/* Acknowledgements */

static void write_ack(struct s2s_sm *sm)
{
    struct buf out = {0};
    sm->told = sm->inbox.handled;
    sm->owes = !sm_inbox_is_settled(&sm->inbox);
    sm_wire_ack(sm->told, &out);
    s2s_stream_write(sm->stream, &out);
}

static uint32_t count_of(const struct s2s_sm *sm)
{
    return sm->stream->unacked.sent - sm->stream->unacked.acked;
}

void s2s_sm_ask(struct s2s_sm *sm)
{
    struct buf out = {0};
    buf_append_str(&out, "<r xmlns='" NS_SM "'/>");
    sm->asked = true;
    sm->asked_after = sm->stream->unacked.sent;
    deadline_arm(desk_of(sm)->silence, &sm->deadline);
    s2s_stream_write(sm->stream, &out);
}

static bool wants_answer(const struct s2s_sm *sm)
{
    const bool enough = sm->stream->unacked.messages > 0 || count_of(sm) >= ASK_AFTER_STANZAS;
    return !sm->asked && enough && sm->asked_after != sm->stream->unacked.sent;
}

static void on_later(void *arg)
{
    struct s2s_sm *sm = sm_of(arg);
    if (sm->phase != S2S_SM_ON) return;
    if (sm->owes && sm_inbox_is_settled(&sm->inbox)) write_ack(sm);
    if (wants_answer(sm)) s2s_sm_ask(sm);
}

static void do_later(struct s2s_sm *sm)
{
    sm->later.fn = on_later;
    sm->later.arg = sm;
    loop_defer(sm->shard->loop, &sm->later);
}

void s2s_sm_received(struct s2s_stream *stream, struct stanza *stanza)
{
    struct s2s_sm *sm = stream->sm;
    if (sm && sm->phase == S2S_SM_ON) sm_inbox_receive(&sm->inbox, stanza);
    if (sm && sm->phase == S2S_SM_OFFERED) s2s_in_link(stream); /* it does not want to, or not yet */
}

void s2s_sm_sent(struct s2s_stream *stream)
{
    struct s2s_sm *sm = stream->sm;
    if (!s2s_sm_is_on(stream)) return;
    if (wants_answer(sm)) {
        do_later(sm);
    } else if (!sm->asked && !list_linked(&sm->deadline.link)) {
        deadline_arm(desk_of(sm)->again, &sm->deadline);
    }
}

void s2s_sm_too_high(struct s2s_stream *stream, const struct s2s_sm *sm, const struct s2s_unacked *unacked, uint32_t h)
{
    char more[SM_WIRE_TOO_HIGH_BYTES];
    sm_wire_too_high(h, unacked->sent - sm->base, more);
    s2s_stream_fail_with(stream, END_BAD_STANZA, "undefined-condition", more);
}

static void take_ack(struct s2s_stream *stream, struct s2s_sm *sm, const struct elem *elem)
{
    uint32_t h = 0;
    if (!sm_wire_number(elem, "h", &h)) {
        s2s_stream_fail(stream, END_BAD_STANZA, "bad-format", "expected a number as h");
    } else if (!s2s_unacked_ack(&stream->unacked, sm->base + h)) {
        s2s_sm_too_high(stream, sm, &stream->unacked, h);
    } else {
        sm->asked = false;
        deadline_disarm(&sm->deadline);
        if (wants_answer(sm)) {
            do_later(sm);
        } else if (count_of(sm) > 0) {
            /* it has not got that far yet: at once it would say the same again */
            deadline_arm(desk_of(sm)->again, &sm->deadline);
        }
    }
}

static void on_silence(struct deadline *deadline, void *shard)
{
    (void)shard;
    struct s2s_sm *sm = sm_of(CONTAINER_OF(deadline, struct s2s_sm, deadline));
    s2s_stream_abort(sm->stream, END_SILENT);
}

static void on_again(struct deadline *deadline, void *shard)
{
    (void)shard;
    struct s2s_sm *sm = sm_of(CONTAINER_OF(deadline, struct s2s_sm, deadline));
    if (!sm->asked && count_of(sm) > 0) s2s_sm_ask(sm);
}

void s2s_sm_farewell(struct s2s_stream *stream)
{
    if (s2s_sm_is_on(stream) && stream->sm->told != stream->sm->inbox.handled) write_ack(stream->sm);
}

/* Enabling, on the side that was connected to */

static void on_no_taker(struct deadline *deadline, void *shard)
{
    (void)shard;
    s2s_in_link(sm_of(CONTAINER_OF(deadline, struct s2s_sm, deadline))->stream);
}

void s2s_sm_offer(struct s2s_stream *stream)
{
    struct s2s_sm *sm = s2s_sm_new(stream, S2S_SM_OFFERED);
    deadline_arm(desk_of(sm)->offer, &sm->deadline);
}

void s2s_sm_refuse(struct s2s_stream *stream, const char *condition)
{
    struct buf out = {0};
    sm_wire_failed(condition, &out);
    s2s_stream_write(stream, &out);
}

static void enable(struct s2s_stream *stream, const struct elem *elem)
{
    struct s2s_sm *sm = stream->sm ? stream->sm : s2s_sm_new(stream, S2S_SM_OFFERED);
    char id[2 * STREAM_ID_BYTES + 1];
    struct buf out = {0};
    buf_append_str(&out, "<enabled xmlns='" NS_SM "'");
    if (sm_wire_is_true(elem, "resume") && stream->policy.resume_ms > 0) {
        stream_random_id(id);
        sm->id = mem_strdup(id);
        sm->resume_ms = stream->policy.resume_ms;
        buf_printf(&out, " id='%s' resume='true' max='%lld'", id, (long long)sm->resume_ms / 1000);
    }
    buf_append_str(&out, "/>");
    s2s_stream_write(stream, &out);
    s2s_sm_on(sm);
    s2s_in_link(stream);
}

static void take_request(struct s2s_stream *stream, const struct elem *elem)
{
    /* not while something is to be confirmed by a ping */
    const bool idle = list_empty(&stream->unacked.entries);
    const bool free_to = stream->state == S2S_OPEN && idle && (!stream->sm || stream->sm->phase == S2S_SM_OFFERED);
    if (free_to && elem_is(elem, NS_SM, "enable")) {
        enable(stream, elem);
    } else if (free_to && !stream->linked && elem_is(elem, NS_SM, "resume")) {
        s2s_resume_request(stream, elem);
    } else if (s2s_sm_is_on(stream) && elem_is(elem, NS_SM, "enable")) { /* section 3: a second one ends the stream */
        s2s_stream_fail(stream, END_BAD_STANZA, "policy-violation", "stream management is enabled already");
    } else {
        s2s_sm_refuse(stream, "unexpected-request");
    }
}

/* Enabling, on the side that connects */

static void ask_to_enable(struct s2s_stream *stream)
{
    struct buf out = {0};
    buf_append_str(&out, "<enable xmlns='" NS_SM "'");
    if (stream->policy.resume_ms > 0) buf_append_str(&out, " resume='true'");
    buf_append_str(&out, "/>");
    (void)s2s_sm_new(stream, S2S_SM_ASKED);
    s2s_stream_write(stream, &out);
}

void s2s_sm_begin(struct s2s_stream *stream)
{
    stream->state = S2S_RESUMING;
    s2s_stream_trust(stream); /* with XEP-0288 it may send already */
    if (!s2s_resume_try(stream)) ask_to_enable(stream);
    dialback_send(stream); /* questions of others do not wait for that */
}

static void take_enabled(struct s2s_stream *stream, const struct elem *elem)
{
    struct s2s_sm *sm = stream->sm;
    const char *id = elem_get(elem, "id");
    uint32_t max_s = 0;
    sm->resume_ms = stream->policy.resume_ms;
    if (sm_wire_number(elem, "max", &max_s) && (int64_t)max_s * 1000 < sm->resume_ms)
        sm->resume_ms = (int64_t)max_s * 1000;
    if (sm_wire_is_true(elem, "resume") && id && strlen(id) <= ID_MAX_BYTES && sm->resume_ms > 0)
        sm->id = mem_strdup(id);
    s2s_sm_on(sm);
    s2s_out_open(stream);
}

static void take_answer(struct s2s_stream *stream, const struct elem *elem)
{
    struct s2s_sm *sm = stream->sm;
    const bool failed = elem_is(elem, NS_SM, "failed");
    if (!sm || elem_is(elem, NS_SM, "enable") || elem_is(elem, NS_SM, "resume")) {
        s2s_sm_refuse(stream, "unexpected-request");
    } else if (sm->phase == S2S_SM_ASKED && elem_is(elem, NS_SM, "enabled")) {
        take_enabled(stream, elem);
    } else if (sm->phase == S2S_SM_ASKED && failed) {
        s2s_sm_free(sm);
        s2s_out_open(stream);
    } else if (sm->phase == S2S_SM_RESUMING && sm->asked && failed) {
        s2s_resume_refused(stream, elem);
        ask_to_enable(stream);
    } else if (sm->phase == S2S_SM_RESUMING && sm->asked && elem_is(elem, NS_SM, "resumed")) {
        s2s_resume_granted(stream, elem);
    } else {
        s2s_stream_fail(stream, END_BAD_STANZA, "policy-violation", "nobody has asked for that");
    }
}

void s2s_sm_element(struct s2s_stream *stream, struct elem *elem)
{
    const bool on = s2s_sm_is_on(stream);
    if (on && elem_is(elem, NS_SM, "r")) {
        write_ack(stream->sm);
    } else if (on && elem_is(elem, NS_SM, "a")) {
        take_ack(stream, stream->sm, elem);
    } else if (stream->outgoing) {
        take_answer(stream, elem);
    } else {
        take_request(stream, elem);
    }
    elem_free(&elem);
}

void s2s_sm_gone(struct s2s_stream *stream)
{
    struct s2s_sm *sm = stream->sm;
    if (!sm) return;
    if (sm->phase == S2S_SM_RESUMING) {
        s2s_resume_wait_on(sm);
    } else if (!s2s_resume_wait(stream)) {
        s2s_sm_free(sm);
    }
}

/* The desk */

struct s2s_sm_desk *s2s_sm_desk_new(struct shard *shard)
{
    struct s2s_sm_desk *desk = MEM_NEW(struct s2s_sm_desk);
    list_init(&desk->waiting);
    desk->offer = deadline_queue_new(shard->loop, S2S_SM_OFFER_MS, on_no_taker, shard);
    desk->again = deadline_queue_new(shard->loop, S2S_SM_AGAIN_MS, on_again, shard);
    desk->silence = deadline_queue_new(shard->loop, shard->backend->config->ack_timeout_ms, on_silence, shard);
    return desk;
}

void s2s_sm_desk_free(struct s2s_sm_desk **desk)
{
    struct s2s_sm_desk *d = *desk;
    *desk = NULL;
    CHECK(list_empty(&d->waiting));
    deadline_queue_free(&d->offer);
    deadline_queue_free(&d->again);
    deadline_queue_free(&d->silence);
    free(d);
}

void s2s_sm_desk_follow(struct shard *shard)
{
    struct s2s_policy policy;
    enum s2s_failure failure;
    deadline_queue_set_timeout(shard->s2s->sm->silence, shard_config(shard)->ack_timeout_ms);
    LIST_EACH (link, &shard->s2s->sm->waiting) {
        struct s2s_sm *sm = LIST_ENTRY(link, struct s2s_sm, link);
        if (!s2s_policy_of(shard->hosts, sm->local, sm->remote->domain, &policy, &failure)) s2s_sm_free(sm);
    }
}

void s2s_sm_desk_stop(struct shard *shard)
{
    LIST_EACH (link, &shard->s2s->sm->waiting)
        s2s_sm_free(LIST_ENTRY(link, struct s2s_sm, link));
}
