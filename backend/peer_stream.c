#include "backend/peer_stream.h"

#include "backend/ns.h"
#include "backend/shard.h"

#include <stdlib.h>
#include <string.h>

enum { PEER_MAGIC = 0x70656572 };

static struct peer_stream *peer_of(void *arg)
{
    struct peer_stream *peer = arg;
    CHECK_MAGIC(peer, PEER_MAGIC);
    return peer;
}

static bool is_open(const struct peer_stream *peer)
{
    return peer->phase != PEER_CLOSING && peer->phase != PEER_ENDED;
}

static void end(struct peer_stream *peer)
{
    if (peer->phase == PEER_ENDED) return;
    struct shard *shard = peer->shard;
    if (is_open(peer)) {
        peer->phase = PEER_CLOSING;
        peer->events->on_closing(peer->owner);
    }
    peer->phase = PEER_ENDED;
    loop_defer_cancel(&peer->deferred);
    peer->events->on_end(peer->owner); /* may still ask about the connection */
    io_free(&peer->io);
    xml_free(&peer->xml);
    buf_free(&peer->held);
    peer->magic = 0;
    loop_defer_free(shard->loop, peer);
    shard_stream_gone(shard);
}

static void defer(struct peer_stream *peer, void (*fn)(void *arg))
{
    loop_defer_cancel(&peer->deferred);
    peer->deferred.fn = fn;
    peer->deferred.arg = peer;
    loop_defer(peer->shard->loop, &peer->deferred);
}

static void on_abort(void *arg)
{
    end(peer_of(arg));
}

/* to_closing - false: it is closing already. */
static bool to_closing(struct peer_stream *peer, enum end_reason reason)
{
    if (!is_open(peer)) return false;
    peer->end = reason;
    peer->phase = PEER_CLOSING;
    peer->events->on_closing(peer->owner);
    return true;
}

static void begin_to_close(struct peer_stream *peer, enum end_reason reason)
{
    if (!to_closing(peer, reason)) return;
    loop_defer_cancel(&peer->deferred);
    io_resume(peer->io);
    io_shutdown(peer->io, STREAM_LINGER_MS);
}

void peer_abort(struct peer_stream *peer, enum end_reason reason)
{
    if (peer->phase == PEER_ENDED) return;
    (void)to_closing(peer, reason);
    defer(peer, on_abort);
}

void peer_write(struct peer_stream *peer, struct buf *buf)
{
    if (is_open(peer)) io_write(peer->io, buf_data(buf), buf_len(buf));
    buf_free(buf);
    if (is_open(peer) && io_blocked(peer->io) && io_pending(peer->io) > peer->output_max)
        peer_abort(peer, END_SLOW_READER);
}

void peer_write_text(struct peer_stream *peer, const char *text)
{
    struct buf buf = {0};
    buf_append_str(&buf, text);
    peer_write(peer, &buf);
}

void peer_fail_with(struct peer_stream *peer, enum end_reason reason, const char *condition, const char *xml)
{
    if (!is_open(peer)) return;
    if (peer->phase == PEER_SECURING) {
        peer_abort(peer, reason); /* nothing can be said before TLS is up */
        return;
    }
    struct buf buf = {0};
    if (!peer->header_sent) peer->events->print_header(peer->owner, &buf);
    buf_printf(&buf, "<stream:error><%s xmlns='" NS_STREAMS "'/>%s</stream:error></stream:stream>", condition, xml);
    io_write(peer->io, buf_data(&buf), buf_len(&buf));
    buf_free(&buf);
    begin_to_close(peer, reason);
}

void peer_fail(struct peer_stream *peer, enum end_reason reason, const char *condition, const char *text)
{
    struct buf more = {0};
    if (text) {
        buf_append_str(&more, "<text xmlns='" NS_STREAMS "' xml:lang='en'>");
        elem_escape(text, strlen(text), &more);
        buf_append_str(&more, "</text>");
    }
    buf_append(&more, "", 1);
    peer_fail_with(peer, reason, condition, (const char *)buf_data(&more));
    buf_free(&more);
}

void peer_close(struct peer_stream *peer, enum end_reason reason)
{
    if (!is_open(peer)) return;
    if (peer->phase == PEER_SECURING || !peer->header_sent) {
        peer_abort(peer, reason);
        return;
    }
    peer_write_text(peer, "</stream:stream>");
    begin_to_close(peer, reason);
}

static void take(struct peer_stream *peer, enum xml_unit unit, struct elem *elem)
{
    const char *text = NULL, *condition;
    switch (unit) {
    case XML_STREAM_START:
        peer->events->on_header(peer->owner, elem);
        break;
    case XML_STANZA:
        peer->events->on_elem(peer->owner, elem);
        break;
    case XML_STREAM_END:
        peer_close(peer, END_DONE);
        break;
    case XML_FAULT:
        condition = xml_fault(peer->xml, &text);
        peer_fail(peer, END_BAD_XML, condition, text);
        break;
    case XML_MORE:
        break;
    }
}

/* Our direction has ended; what was on its way still counts. */
static void listen_on(struct peer_stream *peer, const uint8_t *data, size_t len)
{
    while (peer->phase == PEER_CLOSING && peer->events->on_last_words) {
        struct elem *elem = NULL;
        if (xml_next(peer->xml, &data, &len, &elem) != XML_STANZA) {
            elem_free(&elem);
            return;
        }
        peer->events->on_last_words(peer->owner, elem);
    }
}

static void run(struct peer_stream *peer, const uint8_t *data, size_t len)
{
    while (peer->phase == PEER_TAKING) {
        struct elem *elem = NULL;
        const size_t before = len;
        const enum xml_unit unit = xml_next(peer->xml, &data, &len, &elem);
        peer->unit_bytes += before - len;
        if (unit == XML_MORE) return;
        take(peer, unit, elem);
        peer->unit_bytes = 0;
    }
    if (peer->phase == PEER_HOLDING && len > 0) buf_append(&peer->held, data, len);
    listen_on(peer, data, len);
}

static void run_held(struct peer_stream *peer)
{
    struct buf held = peer->held;
    peer->held = (struct buf){0};
    run(peer, buf_data(&held), buf_len(&held));
    buf_free(&held);
}

void peer_hold(struct peer_stream *peer)
{
    if (peer->phase != PEER_TAKING) return;
    peer->phase = PEER_HOLDING;
    io_pause(peer->io);
}

static void on_go_on(void *arg)
{
    struct peer_stream *peer = peer_of(arg);
    if (peer->phase != PEER_HOLDING) return;
    peer->phase = PEER_TAKING;
    io_resume(peer->io);
    run_held(peer);
}

void peer_go_on(struct peer_stream *peer)
{
    if (peer->phase == PEER_HOLDING) defer(peer, on_go_on);
}

static void on_data(void *arg, const uint8_t *data, size_t len)
{
    run(peer_of(arg), data, len);
}

static void on_secure(void *arg)
{
    struct peer_stream *peer = peer_of(arg);
    peer->phase = PEER_TAKING;
    peer->events->on_secure(peer->owner);
}

static void on_drained(void *arg)
{
    struct peer_stream *peer = peer_of(arg);
    if (is_open(peer) && peer->events->on_drained) peer->events->on_drained(peer->owner);
}

static void on_end(void *arg, bool clean, const char *why)
{
    struct peer_stream *peer = peer_of(arg);
    if (is_open(peer)) {
        const bool tls = peer->phase == PEER_SECURING && strncmp(why, "tls", 3) == 0;
        peer->end = tls ? END_TLS_FAILED : clean || strstr(why, "eof") ? END_CLIENT_EOF : END_CLIENT_RESET;
        peer->why = clean ? NULL : why;
    }
    end(peer);
}

static const struct io_events EVENTS = {
    .on_data = on_data, .on_secure = on_secure, .on_drained = on_drained, .on_end = on_end};

/* What was said before TLS does not count. */
static void begin_securing(struct peer_stream *peer)
{
    peer_restart(peer);
    peer->phase = PEER_SECURING;
}

void peer_secure(struct peer_stream *peer, SSL_CTX *ctx)
{
    if (!is_open(peer)) return;
    begin_securing(peer);
    io_start_tls(peer->io, ctx);
}

void peer_secure_client(struct peer_stream *peer, SSL *ssl)
{
    begin_securing(peer);
    io_connect_tls(peer->io, ssl);
}

void peer_restart(struct peer_stream *peer)
{
    xml_reset(peer->xml);
    peer->header_sent = false;
}

void peer_set_limits(struct peer_stream *peer, const struct xml_limits *limits)
{
    xml_set_limits(peer->xml, limits);
}

static void on_arrival(void *arg)
{
    struct peer_stream *peer = peer_of(arg);
    io_attach(peer->io, peer->shard->loop);
    peer->moved(peer->owner);
}

static void on_departure(void *arg)
{
    struct peer_stream *peer = peer_of(arg);
    if (peer->shard == peer->bound_for) {
        peer->moved(peer->owner);
        return;
    }
    io_detach(peer->io);
    peer->shard = peer->bound_for;
    mailbox_post(peer->shard->mailbox, on_arrival, peer);
}

void peer_move(struct peer_stream *peer, struct shard *to, void (*moved)(void *owner))
{
    if (!is_open(peer)) return;
    peer_hold(peer);
    peer->bound_for = to;
    peer->moved = moved;
    defer(peer, on_departure); /* not now: we are inside one of io's calls */
}

size_t peer_pending(const struct peer_stream *peer)
{
    return io_pending(peer->io);
}

struct peer_stream *peer_stream_new(struct shard *shard, const struct peer_origin *origin,
                                    const struct peer_events *events, void *owner)
{
    struct peer_stream *peer = MEM_NEW(struct peer_stream);
    peer->magic = PEER_MAGIC;
    peer->phase = origin->io ? PEER_HOLDING : PEER_TAKING;
    peer->shard = shard;
    peer->events = events;
    peer->owner = owner;
    peer->addr = origin->addr;
    memcpy(peer->conn, origin->conn, strlen(origin->conn) + 1);
    peer->xml = origin->xml ? origin->xml : xml_new(&XML_LIMITS_UNAUTHENTICATED);
    peer->io = origin->io;
    if (peer->io) {
        io_hand_over(peer->io, &EVENTS, peer);
    } else {
        peer->io = io_new(shard->loop, origin->fd, &EVENTS, peer);
    }
    return peer;
}
