#include "backend/sm.h"

#include "backend/backend_config.h"
#include "backend/delay.h"
#include "backend/ns.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/sm_wire.h"
#include "backend/stanza_id.h"
#include "backend/stream_log.h"
#include "lib/fault.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

enum { SM_MAGIC = 0x736d736d, ASK_AFTER_STANZAS = 8 };

static struct sm *sm_of(void *arg)
{
    struct sm *sm = arg;
    CHECK_MAGIC(sm, SM_MAGIC);
    return sm;
}

void sm_feature(struct buf *out)
{
    buf_append_str(out, "<sm xmlns='" NS_SM "'/>");
}

/* Writing may end the session, and so free sm: session->sm is NULL then. */
static void write_ack(struct sm *sm)
{
    struct buf out = {0};
    sm_wire_ack(sm->inbox.handled, &out);
    sm->owes = !sm_inbox_is_settled(&sm->inbox);
    stream_write_buf(sm->session->stream, &out);
}

static void ask(struct sm *sm)
{
    stream_write(sm->session->stream, "<r xmlns='" NS_SM "'/>");
    sm->asked = true;
    sm->asked_after = sm->queue.acked + sm->queue.count;
    deadline_arm(sm->session->user->shard->silence, &sm->deadline);
}

static bool is_enough_to_ask(const struct sm *sm)
{
    return sm->queue.messages > 0 || sm->queue.count >= ASK_AFTER_STANZAS;
}

static bool wants_answer(const struct sm *sm)
{
    return !sm->asked && is_enough_to_ask(sm) && sm->asked_after != sm->queue.acked + sm->queue.count;
}

static void on_later(void *arg)
{
    struct sm *sm = sm_of(arg);
    const struct session *session = sm->session;
    if (!session->stream) return;
    if (sm->owes && sm_inbox_is_settled(&sm->inbox)) write_ack(sm);
    if (session->sm && wants_answer(sm)) ask(sm);
}

static void do_later(struct sm *sm)
{
    if (!sm->session->stream) return;
    sm->later.fn = on_later;
    sm->later.arg = sm;
    loop_defer(sm->session->user->shard->loop, &sm->later);
}

static void give_up(struct sm *sm)
{
    struct session *session = sm->session;
    struct user *user = session->user;
    session_log_expired(session);
    user_pin(user);
    session_end(&session);
    user_unpin(user);
}

static void on_give_up(void *arg)
{
    struct sm *sm = sm_of(arg);
    if (!sm->session->stream) give_up(sm);
}

/* Sending and acknowledging */

/* A message that comes while nobody is connected says when. */
static void print(const struct sm *sm, const struct stanza *stanza, struct buf *out)
{
    if (sm->session->stream || stanza->kind != STANZA_MESSAGE) {
        stanza_print(stanza, out);
        return;
    }
    struct elem *copy = elem_copy(stanza->elem);
    delay_add(copy, sm->session->jid->domain, delay_now());
    elem_print(copy, NS_CLIENT, out);
    if (stanza->archive_id != 0) stanza_id_append(out, stanza->to->bare, stanza->archive_id);
    elem_free(&copy);
}

/* send_on - what is in the queue by now. */
static void send_on(struct sm *sm, const void *text, size_t len)
{
    const struct session *session = sm->session;
    const struct backend_config *config = shard_config(session->user->shard);
    struct stream *stream = session->stream;
    const bool full = sm->queue.count > config->sm_unacked || sm->queue.bytes > config->sm_unacked_bytes;
    if (stream) stream_write_data(stream, text, len);
    if (!session->sm) return; /* closed for its slow reading */
    if (full && stream) {
        stream_fail(stream, END_UNACKED, "resource-constraint", "too much was sent and not acknowledged");
    } else if (full) {
        sm->later.fn = on_give_up; /* the caller may be walking through the user's sessions */
        sm->later.arg = sm;
        loop_defer(session->user->shard->loop, &sm->later);
    } else if (wants_answer(sm)) {
        do_later(sm);
    }
}

void sm_send(struct sm *sm, struct stanza *stanza)
{
    struct buf text = {0};
    print(sm, stanza, &text);
    sm_queue_add(&sm->queue, stanza, &text);
    send_on(sm, buf_data(&text), buf_len(&text));
    buf_free(&text);
}

void sm_send_presence(struct sm *sm, const char *text, size_t len)
{
    sm_queue_add_presence(&sm->queue, text, len);
    send_on(sm, text, len);
}

/* Section 4: a client that acknowledges more than there was has lost count, and the stream with it. */
static enum stream_state count_too_high(struct stream *stream, const struct sm *sm, uint32_t h)
{
    char more[SM_WIRE_TOO_HIGH_BYTES];
    sm_wire_too_high(h, sm->queue.acked + sm->queue.count, more);
    return stream_fail_with(stream, END_BAD_STANZA, "undefined-condition", more);
}

static enum stream_state take_ack(struct stream *stream, struct sm *sm, const struct elem *elem)
{
    uint32_t h = 0;
    if (!sm_wire_number(elem, "h", &h))
        return stream_fail(stream, END_BAD_STANZA, "bad-format", "expected a number as h");
    if (!sm_queue_ack(&sm->queue, h)) return count_too_high(stream, sm, h);
    sm->asked = false;
    deadline_disarm(&sm->deadline);
    session_continue(stream->session);
    if (wants_answer(sm)) {
        do_later(sm);
    } else if (is_enough_to_ask(sm)) {
        /* it has not got that far yet: at once it would say the same again */
        deadline_arm(stream->shard->again, &sm->deadline);
    }
    return stream->state;
}

/* Enabling and resuming */

static enum stream_state refuse(struct stream *stream, const char *condition)
{
    struct buf out = {0};
    sm_wire_failed(condition, &out);
    stream_write_buf(stream, &out);
    return stream->state;
}

/* Everything that the client has sent is settled, so that what it counts as handled is safe: the stream takes over. */
static void finish_resumption(struct sm *sm)
{
    struct session *session = sm->session;
    struct stream *stream = sm->resuming;
    struct buf out = {0};
    sm->resuming = NULL;
    sm->owes = sm->asked = false;
    session->stream = stream;
    stream->session = session;
    stream->resumes = NULL;
    deadline_disarm(&sm->deadline);
    fault_point(FAULT_RESUMPTION);
    sm_wire_resumed(sm->id, sm->inbox.handled, &out);
    sm_queue_print(&sm->queue, &out);
    stream_write_buf(stream, &out);
    shard_count(stream->shard, COUNTER_SM_RESUMED);
    stream_log_resumed(stream);
    if (session->sm && sm->queue.count > 0) ask(sm);
    session_continue(session);
}

static void on_settled_all(void *arg)
{
    struct sm *sm = sm_of(arg);
    struct stream *stream = sm->resuming;
    if (!stream) return;
    finish_resumption(sm);
    stream_advance(stream, STREAM_BOUND);
}

static void on_settled(struct sm_inbox *inbox)
{
    struct sm *sm = sm_of(CONTAINER_OF(inbox, struct sm, inbox));
    if (sm->resuming) {
        sm->later.fn = on_settled_all;
        sm->later.arg = sm;
        loop_defer(inbox->shard->loop, &sm->later);
    } else if (sm->owes) {
        do_later(sm);
    }
}

static enum stream_state enable(struct stream *stream, const struct elem *elem)
{
    struct session *session = stream->session;
    struct shard *shard = stream->shard;
    const int64_t resume_ms = shard_config(shard)->resume_timeout_ms;
    struct buf out = {0};
    struct sm *sm = session->sm = MEM_NEW(struct sm);
    sm->magic = SM_MAGIC;
    sm->session = session;
    sm_inbox_open(&sm->inbox, shard, on_settled);
    sm_queue_init(&sm->queue, session);
    buf_append_str(&out, "<enabled xmlns='" NS_SM "'");
    if (sm_wire_is_true(elem, "resume") && resume_ms > 0) {
        stream_random_id(sm->id);
        buf_printf(&out, " id='%s' resume='true' max='%lld'", sm->id, (long long)resume_ms / 1000);
    }
    buf_append_str(&out, "/>");
    stream_write_buf(stream, &out);
    shard_count(shard, COUNTER_SM_ENABLED);
    return stream->state;
}

static struct session *find(const struct user *user, const char *id)
{
    LIST_EACH (link, &user->sessions) {
        struct session *session = LIST_ENTRY(link, struct session, link);
        if (!session->sm || !session->sm->id[0] || strlen(id) != SM_ID_BYTES - 1) continue;
        if (CRYPTO_memcmp(session->sm->id, id, SM_ID_BYTES - 1) == 0) return session;
    }
    return NULL;
}

/* Section 5.  The session's stream may still seem to be alive: it is not. */
static enum stream_state resume(struct stream *stream, const struct elem *elem)
{
    uint32_t h = 0;
    const char *id = elem_get(elem, "previd");
    if (!id || !sm_wire_number(elem, "h", &h)) return refuse(stream, "bad-request");
    struct session *session = find(stream->user, id);
    if (!session) {
        shard_count(stream->shard, COUNTER_SM_RESUME_FAILED);
        return refuse(stream, "item-not-found");
    }
    struct sm *sm = session->sm;
    /* who has lost count does no harm to the session, which may be alive on another connection */
    if (!sm_queue_allows(&sm->queue, h)) return count_too_high(stream, sm, h);
    struct stream *old = sm->resuming ? sm->resuming : session->stream;
    session->stream = NULL;
    if (old) {
        old->session = NULL;
        old->resumes = NULL;
        stream_fail(old, END_RESUMED, "conflict", "the session goes on on another connection");
    }
    sm->resuming = NULL;
    deadline_arm(stream->shard->detached, &sm->deadline);
    const bool allowed = sm_queue_ack(&sm->queue, h);
    CHECK(allowed);
    sm->resuming = stream;
    stream->resumes = session;
    if (!sm_inbox_is_settled(&sm->inbox)) return STREAM_RESUMING;
    finish_resumption(sm);
    return STREAM_BOUND;
}

void sm_stream_gone(struct sm *sm, const struct stream *stream)
{
    if (sm->resuming == stream) sm->resuming = NULL;
}

enum stream_state sm_element(struct stream *stream, struct elem *elem)
{
    const bool bound = stream->session != NULL;
    struct sm *sm = bound ? stream->session->sm : NULL;
    enum stream_state next = stream->state;
    if (elem_is(elem, NS_SM, "r") && sm) {
        write_ack(sm);
    } else if (elem_is(elem, NS_SM, "a") && sm) {
        next = take_ack(stream, sm, elem);
    } else if (elem_is(elem, NS_SM, "enable") && bound && !sm) {
        next = enable(stream, elem);
    } else if (elem_is(elem, NS_SM, "enable") && bound) { /* section 3: a second one ends the stream */
        next = stream_fail(stream, END_BAD_STANZA, "policy-violation", "stream management is enabled already");
    } else if (elem_is(elem, NS_SM, "resume") && !bound && stream->user) {
        next = resume(stream, elem);
    } else {
        next = refuse(stream, "unexpected-request");
    }
    elem_free(&elem);
    return next;
}

/* The end of a connection, and of the session */

bool sm_detach(struct sm *sm, enum end_reason reason)
{
    struct session *session = sm->session;
    const bool may =
        reason == END_CLIENT_EOF || reason == END_CLIENT_RESET || reason == END_SILENT || reason == END_PING_TIMEOUT;
    if (!may || !sm->id[0] || session->user->shard->stopping) return false;
    session->stream = NULL;
    loop_defer_cancel(&sm->later);
    sm->asked = false;
    deadline_arm(session->user->shard->detached, &sm->deadline);
    shard_count(session->user->shard, COUNTER_SM_DETACHED);
    return true;
}

void sm_on_silence(struct deadline *deadline, void *shard)
{
    (void)shard;
    struct sm *sm = sm_of(CONTAINER_OF(deadline, struct sm, deadline));
    stream_abort(sm->session->stream, END_SILENT);
}

void sm_on_again(struct deadline *deadline, void *shard)
{
    (void)shard;
    struct sm *sm = sm_of(CONTAINER_OF(deadline, struct sm, deadline));
    if (sm->session->stream) ask(sm);
}

void sm_on_detached(struct deadline *deadline, void *shard)
{
    (void)shard;
    struct sm *sm = sm_of(CONTAINER_OF(deadline, struct sm, deadline));
    give_up(sm);
}

void sm_end(struct sm **place)
{
    struct sm *sm = *place;
    if (!sm) return;
    struct user *user = sm->session->user;
    *place = NULL;
    if (sm->resuming) {
        sm->resuming->resumes = NULL;
        stream_fail(sm->resuming, END_CONFLICT, "conflict", "the session has ended");
    }
    sm_inbox_close(&sm->inbox);
    deadline_disarm(&sm->deadline);
    loop_defer_cancel(&sm->later);
    sm_queue_end(&sm->queue, user);
    sm->magic = 0;
    free(sm);
}
