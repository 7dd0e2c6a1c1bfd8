#include "backend/stream.h"

#include "backend/backend_config.h"
#include "backend/c2s.h"
#include "backend/host.h"
#include "backend/newcomers.h"
#include "backend/ns.h"
#include "backend/s2s_in.h"
#include "backend/sasl_exchange.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/sm.h"
#include "backend/stream_header.h"
#include "backend/stream_log.h"
#include "backend/stream_pace.h"
#include "backend/terminated.h"
#include "backend/user.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

enum { STREAM_MAGIC = 0x73747265 };

/* What a state does with input, and whether auth-timeout runs in it. */
enum stream_input { TAKE, HOLD, DROP };

struct stream_row {
    const char *name;
    enum stream_state (*step)(struct stream *stream, struct elem *elem); /* takes elem */
    enum stream_input input;
    bool hurried;
};

static const struct stream_row ROWS[] = {
    [STREAM_SECURING] = {"securing", NULL, DROP, true},     [STREAM_OPENING] = {"opening", c2s_open, TAKE, true},
    [STREAM_PLAIN] = {"plain", c2s_before_tls, TAKE, true}, [STREAM_SASL] = {"sasl", sasl_exchange_step, TAKE, true},
    [STREAM_SASL_WAIT] = {"sasl_wait", NULL, HOLD, true},   [STREAM_MOVING] = {"moving", NULL, HOLD, true},
    [STREAM_LOADING] = {"loading", NULL, HOLD, true},       [STREAM_RESUMING] = {"resuming", NULL, HOLD, true},
    [STREAM_BINDING] = {"binding", c2s_bind, TAKE, true},   [STREAM_BOUND] = {"bound", c2s_stanza, TAKE, false},
    [STREAM_PAUSED] = {"paused", NULL, HOLD, false},        [STREAM_CLOSING] = {"closing", NULL, DROP, false},
    [STREAM_ENDED] = {"ended", NULL, DROP, false},
};

static struct stream *stream_of(void *arg)
{
    struct stream *stream = arg;
    CHECK_MAGIC(stream, STREAM_MAGIC);
    return stream;
}

const char *stream_state_name(const struct stream *stream)
{
    return ROWS[stream->state].name;
}

const char *stream_end_state_name(const struct stream *stream)
{
    return ROWS[stream->state == STREAM_CLOSING ? stream->ended_in : stream->state].name;
}

size_t stream_pending(const struct stream *stream)
{
    return io_pending(stream->io);
}

const char *stream_lang(const struct stream *stream)
{
    return stream->lang;
}

void stream_random_id(char out[2 * STREAM_ID_BYTES + 1])
{
    static const char DIGITS[] = "0123456789abcdef";
    uint8_t bytes[STREAM_ID_BYTES];
    CHECK(RAND_bytes(bytes, sizeof(bytes)) == 1);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        *out++ = DIGITS[bytes[i] >> 4];
        *out++ = DIGITS[bytes[i] & 15];
    }
    *out = '\0';
}

/* The session may end before the stream has. */
static void resumes_no_more(struct stream *stream)
{
    sm_stream_gone(stream->resumes->sm, stream);
    stream->resumes = NULL;
}

/* go_to - the one place where the state changes.  What is closing stays so until it has ended. */
static void go_to(struct stream *stream, enum stream_state next)
{
    if (stream->state == next) return;
    if (stream->state == STREAM_ENDED || (stream->state == STREAM_CLOSING && next != STREAM_ENDED)) return;
    stream_log_state(stream, ROWS[next].name);
    if (stream->state != STREAM_CLOSING) stream->ended_in = stream->state;
    stream->state = next;
    if (!ROWS[next].hurried) {
        deadline_disarm(&stream->deadline);
    } else if (!list_linked(&stream->deadline.link)) {
        deadline_arm(stream->shard->hurry, &stream->deadline);
    }
    if (next == STREAM_CLOSING && stream->session) session_stop(&stream->session, stream->end);
    if (next == STREAM_CLOSING && stream->resumes) resumes_no_more(stream);
    if (next == STREAM_CLOSING && stream->exchange) sasl_exchange_give_up(stream->exchange);
    if (next == STREAM_BOUND) stream_pace_heard(stream);
    if (next == STREAM_PAUSED) stream_pace_begin_pause(stream);
    if (next == STREAM_ENDED) return;
    if (ROWS[next].input == HOLD) {
        io_pause(stream->io);
    } else {
        io_resume(stream->io);
    }
}

static void is_no_newcomer(struct stream *stream)
{
    if (stream->newcomer) newcomers_leave(stream->shard->backend->newcomers, &stream->peer);
    stream->newcomer = false;
}

/* end - everything goes; the struct itself at the end of the turn, for callers up the stack still look at it. */
static void end(struct stream *stream)
{
    if (stream->state == STREAM_ENDED) return;
    struct shard *shard = stream->shard;
    stream_log_end(stream);
    shard_count(shard, (enum backend_counter)stream->end);
    go_to(stream, STREAM_ENDED);
    is_no_newcomer(stream);
    loop_defer_cancel(&stream->deferred);
    if (stream->session) session_stop(&stream->session, stream->end);
    session_end(&stream->session);
    if (stream->resumes) resumes_no_more(stream);
    list_remove(&stream->link);
    list_remove(&stream->user_link);
    if (stream->user) user_release(stream->user);
    sasl_exchange_free(&stream->exchange);
    io_free(&stream->io);
    xml_free(&stream->xml);
    buf_free(&stream->held);
    jid_free(&stream->bare);
    terminated_free(&stream->terminated);
    host_point(&stream->host, NULL);
    free(stream->lang);
    free(stream->sni);
    stream->lang = stream->sni = NULL;
    elem_free(&stream->leaves);
    stream->magic = 0;
    loop_defer_free(shard->loop, stream);
    shard_stream_gone(shard);
}

static void on_abort(void *arg)
{
    end(stream_of(arg));
}

static void defer(struct stream *stream, void (*fn)(void *arg))
{
    loop_defer_cancel(&stream->deferred);
    stream->deferred.fn = fn;
    stream->deferred.arg = stream;
    loop_defer(stream->shard->loop, &stream->deferred);
}

void stream_abort(struct stream *stream, enum end_reason reason)
{
    if (stream->state == STREAM_ENDED) return;
    if (stream->state != STREAM_CLOSING) stream->end = reason;
    go_to(stream, STREAM_CLOSING);
    defer(stream, on_abort);
}

void stream_write_data(struct stream *stream, const void *data, size_t len)
{
    if (stream->state == STREAM_CLOSING || stream->state == STREAM_ENDED) return;
    io_write(stream->io, data, len);
    /* many may write to one in a turn of the loop: that alone does not make a slow reader */
    const bool late = io_blocked(stream->io) && io_pending(stream->io) > stream->host->limits.output_bytes;
    if (!late || stream->too_slow) return;
    stream->too_slow = true;
    stream_fail(stream, END_SLOW_READER, "resource-constraint", "too much waits to be read");
}

void stream_write_buf(struct stream *stream, struct buf *buf)
{
    stream_write_data(stream, buf_data(buf), buf_len(buf));
    buf_free(buf);
}

void stream_write(struct stream *stream, const char *text)
{
    struct buf buf = {0};
    buf_append_str(&buf, text);
    stream_write_buf(stream, &buf);
}

void stream_send_elem(struct stream *stream, const struct elem *elem)
{
    struct buf buf = {0};
    elem_print(elem, NS_CLIENT, &buf);
    stream_write_buf(stream, &buf);
}

/* RFC 6120 section 4.4: who has a session and can still be understood is waited for: what the client has on its way
 * arrives, and then its own end. */
static bool may_still_speak(const struct stream *stream, enum end_reason reason)
{
    const bool bound = stream->state == STREAM_BOUND || stream->state == STREAM_PAUSED;
    return bound && reason != END_DONE && reason != END_SLOW_READER && !xml_fault(stream->xml, NULL);
}

/* The end of our direction. */
static enum stream_state begin_to_close(struct stream *stream, enum end_reason reason)
{
    if (stream->state == STREAM_CLOSING) return STREAM_CLOSING;
    stream->end = reason;
    stream->listening = may_still_speak(stream, reason);
    go_to(stream, STREAM_CLOSING);
    if (stream->listening) {
        deadline_arm(stream->shard->farewell, &stream->deadline);
    } else {
        io_shutdown(stream->io, reason == END_SLOW_READER ? STREAM_SLOW_LINGER_MS : STREAM_LINGER_MS);
    }
    return STREAM_CLOSING;
}

/* fail - content is that of the condition's element, NULL: none; xml is what follows it. */
static enum stream_state fail(struct stream *stream, enum end_reason reason, const char *condition, const char *content,
                              const char *xml)
{
    if (stream->state == STREAM_CLOSING || stream->state == STREAM_ENDED) return stream->state;
    if (stream->state == STREAM_SECURING) {
        stream_abort(stream, reason); /* nothing can be said before TLS is up */
        return STREAM_CLOSING;
    }
    struct buf buf = {0};
    if (!stream->header_sent) stream_header_print(stream, NULL, &buf);
    buf_printf(&buf, "<stream:error><%s xmlns='" NS_STREAMS "'", condition);
    if (content) {
        buf_append_str(&buf, ">");
        elem_escape(content, strlen(content), &buf);
        buf_printf(&buf, "</%s>", condition);
    } else {
        buf_append_str(&buf, "/>");
    }
    buf_printf(&buf, "%s</stream:error></stream:stream>", xml);
    stream_write_buf(stream, &buf);
    return begin_to_close(stream, reason);
}

enum stream_state stream_fail(struct stream *stream, enum end_reason reason, const char *condition, const char *text)
{
    struct buf xml = {0};
    if (text) {
        buf_append_str(&xml, "<text xmlns='" NS_STREAMS "' xml:lang='en'>");
        elem_escape(text, strlen(text), &xml);
        buf_append_str(&xml, "</text>");
    }
    buf_append(&xml, "", 1); /* its NUL */
    const enum stream_state next = fail(stream, reason, condition, NULL, (const char *)buf_data(&xml));
    buf_free(&xml);
    return next;
}

enum stream_state stream_fail_with(struct stream *stream, enum end_reason reason, const char *condition,
                                   const char *xml)
{
    return fail(stream, reason, condition, NULL, xml);
}

enum stream_state stream_redirect(struct stream *stream, const char *where)
{
    return fail(stream, END_REDIRECTED, "see-other-host", where, "");
}

enum stream_state stream_close(struct stream *stream, enum end_reason reason)
{
    stream_write(stream, "</stream:stream>");
    return begin_to_close(stream, reason);
}

static enum stream_state fault(struct stream *stream)
{
    const char *text = NULL;
    const char *condition = xml_fault(stream->xml, &text);
    return stream_fail(stream, END_BAD_XML, condition, text);
}

/* RFC 6120 section 4.9.1.1: the client's error ends the stream, and is answered by our end alone. */
static enum stream_state end_of_client(struct stream *stream, struct elem *error)
{
    elem_free(&error);
    return stream_close(stream, END_CLIENT_ERROR);
}

static enum stream_state take(struct stream *stream, enum xml_unit unit, struct elem *elem)
{
    switch (unit) {
    case XML_STREAM_START:
        return ROWS[stream->state].step(stream, elem);
    case XML_STANZA:
        if (elem_is(elem, NS_STREAM, "error")) return end_of_client(stream, elem);
        return ROWS[stream->state].step(stream, elem);
    case XML_STREAM_END:
        return stream_close(stream, END_DONE);
    case XML_FAULT:
        return fault(stream);
    case XML_MORE:
        break;
    }
    return stream->state;
}

/* The client's last words are over. */
static void end_listening(struct stream *stream, int64_t linger_ms)
{
    stream->listening = false;
    deadline_disarm(&stream->deadline);
    io_shutdown(stream->io, linger_ms);
}

/* listen_on - our direction has ended: look for the end of the client's. */
static void listen_on(struct stream *stream, const uint8_t *data, size_t len)
{
    while (stream->listening) {
        struct elem *elem = NULL;
        const enum xml_unit unit = xml_next(stream->xml, &data, &len, &elem);
        if (unit == XML_MORE) return;
        if (unit == XML_STANZA) {
            c2s_last_words(stream, elem);
        } else {
            end_listening(stream, STREAM_LINGER_MS);
        }
    }
}

/* run - take input as long as the state does; the rest is held back or dropped. */
static void run(struct stream *stream, const uint8_t *data, size_t len)
{
    while (ROWS[stream->state].input == TAKE) {
        struct elem *elem = NULL;
        const size_t before = len;
        const bool bound = stream->state == STREAM_BOUND;
        const enum xml_unit unit = xml_next(stream->xml, &data, &len, &elem);
        const bool too_fast = bound && stream_pace_charge(stream, before - len, unit == XML_STANZA);
        if (unit != XML_MORE) go_to(stream, take(stream, unit, elem));
        if (too_fast && stream->state == STREAM_BOUND) go_to(stream, STREAM_PAUSED);
        if (unit == XML_MORE) return;
    }
    if (ROWS[stream->state].input == HOLD && len > 0) {
        stream->held.secret = true;
        buf_append(&stream->held, data, len);
    }
    listen_on(stream, data, len);
}

static void run_held(struct stream *stream)
{
    struct buf held = stream->held;
    stream->held = (struct buf){0};
    run(stream, buf_data(&held), buf_len(&held));
    buf_free(&held);
}

void stream_advance(struct stream *stream, enum stream_state next)
{
    go_to(stream, next);
    if (buf_len(&stream->held) > 0 || ROWS[stream->state].input == TAKE) run_held(stream);
}

static void on_data(void *arg, const uint8_t *data, size_t len)
{
    struct stream *stream = stream_of(arg);
    if (stream->listening && buf_len(&stream->held) > 0) run_held(stream); /* it was paused when it was closed */
    run(stream, data, len);
    if (stream->state == STREAM_BOUND) stream_pace_heard(stream);
}

/* Whom the client means, as far as it has not said so in a header. */
static const struct host *expected_host(const struct stream *stream)
{
    const struct hosts *hosts = shard_hosts(stream->shard);
    if (stream->plain) return hosts_first(hosts, true);
    return hosts_by_server_name(hosts, stream->secure ? stream->sni : NULL);
}

static void on_secure(void *arg)
{
    struct stream *stream = stream_of(arg);
    stream->secure = true;
    free(stream->sni);
    stream->exchange = sasl_exchange_new(stream);
    stream->sni = mem_strdup(SSL_get_servername(io_ssl(stream->io), TLSEXT_NAMETYPE_host_name));
    host_point(&stream->host, expected_host(stream));
    go_to(stream, STREAM_OPENING);
}

static void on_end(void *arg, bool clean, const char *why)
{
    struct stream *stream = stream_of(arg);
    if (stream->state != STREAM_CLOSING) {
        const bool tls = stream->state == STREAM_SECURING && strncmp(why, "tls", 3) == 0;
        const bool eof = clean || strstr(why, "eof"); /* many clients end without close_notify */
        stream->end = tls ? END_TLS_FAILED : eof ? END_CLIENT_EOF : END_CLIENT_RESET;
        stream->why = clean ? NULL : why;
    }
    end(stream);
}

static void on_drained(void *arg)
{
    struct stream *stream = stream_of(arg);
    if (stream->session) session_continue(stream->session);
}

static const struct io_events EVENTS = {
    .on_data = on_data, .on_secure = on_secure, .on_drained = on_drained, .on_end = on_end};

void stream_on_hurry(struct deadline *deadline, void *shard)
{
    (void)shard;
    struct stream *stream = stream_of(CONTAINER_OF(deadline, struct stream, deadline));
    stream_fail(stream, END_AUTH_TIMEOUT, "connection-timeout", "no resource was bound in time");
}

void stream_on_farewell_over(struct deadline *deadline, void *shard)
{
    (void)shard;
    struct stream *stream = stream_of(CONTAINER_OF(deadline, struct stream, deadline));
    run_held(stream);
    if (stream->listening) end_listening(stream, STREAM_LAST_LINGER_MS);
}

/* ctx NULL: none of our hosts has a certificate; nobody but a gateway that does not know can have sent it here. */
static void begin_tls(struct stream *stream, SSL_CTX *ctx)
{
    if (ctx)
        io_start_tls(stream->io, ctx);
    else
        stream_abort(stream, END_TLS_FAILED);
}

enum stream_state stream_secure(struct stream *stream)
{
    xml_reset(stream->xml);
    stream->header_sent = false;
    /* RFC 6120 section 13.7.2.1: a client that names no server gets the certificate of the host that it asked for */
    io_start_tls(stream->io, stream->host->tls);
    return STREAM_SECURING;
}

void stream_restart(struct stream *stream)
{
    xml_reset(stream->xml);
    stream->header_sent = false;
    struct xml_limits limits = XML_LIMITS_AUTHENTICATED;
    limits.stanza_bytes = stream->host->limits.stanza_bytes;
    xml_set_limits(stream->xml, &limits);
}

/* A handshake or an exchange that is under way ends with the host that it began with. */
void stream_follow_hosts(struct stream *stream)
{
    if (stream->state == STREAM_SECURING || stream->state == STREAM_CLOSING || stream->state == STREAM_ENDED) return;
    const struct hosts *hosts = shard_hosts(stream->shard);
    const struct host *host = hosts_find(hosts, stream->host->domain);
    if (host) {
        if (!stream->exchange) host_point(&stream->host, host);
    } else if (stream->header_sent || stream->bare) {
        stream_fail(stream, END_HOST_GONE, "host-gone", NULL);
    } else if (!stream->exchange) {
        host_point(&stream->host, expected_host(stream));
    }
}

/* join - the stream is on its user's shard. */
static enum stream_state join(struct stream *stream)
{
    stream->unlimited = host_is_admin(stream->host, stream->bare->bare);
    stream->user = user_get(stream->shard, stream->bare->bare);
    list_append(&stream->user->streams, &stream->user_link);
    if (stream->guest) stream->user->temporary = true;
    if (stream->shard->stopping) return stream_fail(stream, END_SHUTDOWN, "system-shutdown", NULL);
    if (stream->auth_begun_ms <= stream->user->cut_off_ms)
        return stream_fail(stream, END_ACCOUNT_CHANGED, "not-authorized", NULL);
    user_load(stream->user);
    return stream->user->state == USER_READY ? STREAM_OPENING : STREAM_LOADING;
}

void stream_user_ready(struct stream *stream, bool ok)
{
    if (stream->state != STREAM_LOADING) return;
    if (ok) {
        stream_advance(stream, STREAM_OPENING);
    } else {
        stream_fail(stream, END_STORE_FAILED, "internal-server-error", "the account could not be read");
    }
}

static void on_arrival(void *arg)
{
    struct stream *stream = stream_of(arg);
    list_append(&stream->shard->streams, &stream->link);
    io_attach(stream->io, stream->shard->loop);
    deadline_arm(stream->shard->hurry, &stream->deadline);
    stream_follow_hosts(stream);
    stream_advance(stream, join(stream));
}

static void on_departure(void *arg)
{
    struct stream *stream = stream_of(arg);
    if (stream->state != STREAM_MOVING) return;
    list_remove(&stream->link);
    deadline_disarm(&stream->deadline);
    io_detach(stream->io);
    stream->shard = shard_of(stream->shard->backend, stream->bare->bare);
    mailbox_post(stream->shard->mailbox, on_arrival, stream);
}

/* The connection goes on without the stream. */
static void on_leave(void *arg)
{
    struct stream *stream = stream_of(arg);
    if (stream->state != STREAM_MOVING) return;
    struct s2s_leaver leaver = {
        .origin = {.io = stream->io, .xml = stream->xml, .addr = stream->peer, .conn = stream->id},
        .header = stream->leaves,
        .held = stream->held,
        .terminated = stream->terminated,
        .secure = stream->secure,
        .plain = stream->plain,
        .newcomer = stream->newcomer,
    };
    list_remove(&stream->link);
    deadline_disarm(&stream->deadline);
    sasl_exchange_free(&stream->exchange);
    host_point(&stream->host, NULL);
    s2s_in_take_over(stream->shard, &leaver);
    free(stream->lang);
    free(stream->sni);
    stream->magic = 0;
    loop_defer_free(stream->shard->loop, stream);
}

enum stream_state stream_leave(struct stream *stream, struct elem *header)
{
    stream->leaves = header;
    defer(stream, on_leave); /* not now: the caller is inside one of io's */
    return STREAM_MOVING;
}

enum stream_state stream_settle(struct stream *stream)
{
    is_no_newcomer(stream);
    if (stream->state == STREAM_CLOSING) return STREAM_CLOSING; /* by what was just written to a slow reader */
    if (shard_of(stream->shard->backend, stream->bare->bare) == stream->shard) return join(stream);
    defer(stream, on_departure); /* not now: the caller is inside one of io's */
    return STREAM_MOVING;
}

static void on_begin(void *arg)
{
    struct stream *stream = stream_of(arg);
    struct shard *shard = stream->shard;
    list_append(&shard->streams, &stream->link);
    host_point(&stream->host, expected_host(stream));
    stream->io = io_new(shard->loop, stream->fd, &EVENTS, stream);
    struct xml_limits limits = XML_LIMITS_UNAUTHENTICATED;
    limits.stanza_bytes = (size_t)option_int(option_top(shard_config(shard)->file), "stanza-size-before-auth");
    stream->xml = xml_new(&limits);
    stream->begun_ms = loop_now_ms(shard->loop);
    deadline_arm(shard->hurry, &stream->deadline);
    shard_count(shard, COUNTER_STREAMS);
    if (stream->terminated || stream->plain) stream->exchange = sasl_exchange_new(stream);
    if (stream->state == STREAM_SECURING) begin_tls(stream, hosts_tls(shard_hosts(shard)));
    if (shard->stopping) stream_fail(stream, END_SHUTDOWN, "system-shutdown", NULL);
}

void stream_begin(struct shard *shard, const struct stream_origin *origin)
{
    struct stream *stream = MEM_NEW(struct stream);
    stream->magic = STREAM_MAGIC;
    stream->shard = shard;
    stream->state = origin->direct_tls ? STREAM_SECURING : STREAM_OPENING;
    stream->terminated = origin->terminated;
    stream->secure = origin->terminated != NULL;
    stream->plain = origin->plain;
    stream->fd = origin->fd;
    stream->newcomer = origin->newcomer;
    stream->servers_too = origin->servers_too;
    stream->peer = origin->peer;
    stream->sni = mem_strdup(origin->sni);
    memcpy(stream->id, origin->id, sizeof(stream->id));
    mailbox_post(shard->mailbox, on_begin, stream);
}
