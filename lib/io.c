#include "lib/io.h"

#include "lib/buf.h"
#include "lib/mem.h"
#include "lib/wire.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
    IO_MAGIC = 0x696f696f,
    READ_BYTES = 32 * 1024,       /* more than a TLS record */
    READ_TURN_BYTES = 128 * 1024, /* one stream's share of a wake-up */
    ALERT_LINGER_MS = 1000,       /* for the peer to see why its TLS failed */
    EOF_FLUSH_MS = 10000,         /* for a peer that has ended to take what is queued */
    WARM_MAX = 128,               /* of a loop: 32 KiB each at most */
    WARM_MS = 1000,
    WARM_TURNS = 24, /* without silence */
};

enum io_phase {
    IO_PLAIN,
    IO_SWITCHING, /* TLS is asked for; what was queued before goes out in plain text first */
    IO_HANDSHAKE,
    IO_SECURE,
    IO_DRAINING, /* TLS failed: bytes are dropped until the peer has seen our alert */
    IO_ENDED,    /* on_end was told */
};

/* Invariants: the event is added exactly when armed != 0; a detached io has no event, no deferred call and no timer.
 * A callback may free the io or detach it (and another thread may own it before the callback returns), so after each
 * one the driver looks whether the io is still the one that this thread drives, before it touches it again. */
struct io {
    unsigned magic;
    enum io_phase phase;
    struct loop *loop; /* NULL: detached */
    const struct io_events *events;
    void *arg;
    struct wire wire;
    struct event *event; /* made once, assigned anew whenever what it waits for changes */
    short armed;
    bool paused;
    bool shutting;         /* io_shutdown was called */
    bool fin_sent;         /* our direction is closed */
    bool peer_ended;       /* the peer closed its direction in order */
    bool write_blocked;    /* the kernel's buffer is full */
    bool write_wants_read; /* TLS must read before it can write */
    bool read_wants_write; /* TLS must write before it can read */
    bool handshake_writes; /* the handshake waits for room to write */
    struct buf out;
    size_t plain_left; /* bytes at the front of out that were queued before io_start_tls */
    struct loop_deferred flush;
    struct deadline warmth; /* armed: TLS keeps its buffers; expires_ms also counts when it is not */
    uint8_t turns;          /* before that, without silence */
    struct event *timer;    /* the end of lingering; NULL: none */
    int64_t linger_ms;      /* what the timer was set to; 0: none was */
    const char *why;        /* of a failure that is told after draining */
    uint64_t bytes_in, bytes_out;
};

/* A TLS connection in use keeps its buffers from one turn to the next: to make, wipe and free them for each record
 * costs as much as decrypting it.  When it falls silent, or too many others are in use, they are given back.  What only
 * logs in never keeps them: they would stand between what it leaves in memory for long. */
struct warmth {
    struct deadline_queue *queue;
    unsigned count;
};

static _Thread_local uint8_t read_buffer[READ_BYTES];
static _Thread_local const struct io *driven; /* NULL: none, or its callback took it away */

static void on_event(evutil_socket_t fd, short what, void *arg);
static void on_turn_end(void *arg);

static void on_cold(struct deadline *d, void *arg)
{
    struct io *io = CONTAINER_OF(d, struct io, warmth);
    struct warmth *warmth = arg;

    warmth->count--;
    wire_rest(&io->wire);
}

static void *make_warmth(struct loop *loop)
{
    struct warmth *warmth = MEM_NEW(struct warmth);

    warmth->queue = deadline_queue_new(loop, WARM_MS, on_cold, warmth);
    return warmth;
}

static void end_warmth(void *arg)
{
    struct warmth *warmth = arg;

    deadline_queue_free(&warmth->queue);
    free(warmth);
}

static void cool_down(struct warmth *warmth, struct deadline *d)
{
    deadline_disarm(d);
    on_cold(d, warmth);
}

static void keep_warm(struct io *io)
{
    struct warmth *warmth = loop_local(io->loop, make_warmth, end_warmth);

    if (!list_linked(&io->warmth.link)) {
        const int64_t now_ms = loop_now_ms(io->loop);
        if (now_ms >= io->warmth.expires_ms) io->turns = 0;
        io->warmth.expires_ms = now_ms + WARM_MS;
        if (io->turns++ < WARM_TURNS) {
            wire_rest(&io->wire);
            return;
        }
        if (warmth->count == WARM_MAX) cool_down(warmth, deadline_first(warmth->queue));
        warmth->count++;
    }
    deadline_arm(warmth->queue, &io->warmth);
}

static short wanted_events(const struct io *io)
{
    short wanted = 0;

    switch (io->phase) {
    case IO_ENDED:
        return 0;
    case IO_DRAINING:
        return EV_READ;
    case IO_SWITCHING:
        return io->write_blocked ? EV_WRITE : 0;
    case IO_HANDSHAKE:
        return io->handshake_writes ? EV_WRITE : EV_READ;
    case IO_PLAIN:
    case IO_SECURE:
        break;
    }
    if ((!io->paused && !io->peer_ended) || io->write_wants_read) wanted |= EV_READ;
    if (io->write_blocked || io->read_wants_write) wanted |= EV_WRITE;
    return wanted;
}

static void arm(struct io *io)
{
    short wanted = wanted_events(io);

    if (wanted == io->armed) return;
    /* Not only when armed: bytes inside TLS may have made the event active. */
    event_del(io->event);
    event_assign(io->event, loop_base(io->loop), io->wire.fd, (short)(wanted | EV_PERSIST), on_event, io);
    if (wanted) CHECK(event_add(io->event, NULL) == 0);
    io->armed = wanted;
}

static void drop_timer(struct io *io)
{
    if (io->timer) event_free(io->timer);
    io->timer = NULL;
}

static void on_timer(evutil_socket_t fd, short what, void *arg);

/* start_timer - bound the time that the end may take; a later call may only make it shorter. */
static void start_timer(struct io *io, int64_t ms)
{
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    if (io->timer && io->linger_ms <= ms) return;
    drop_timer(io);
    io->linger_ms = ms;
    io->timer = event_new(loop_base(io->loop), -1, 0, on_timer, io);
    CHECK(io->timer != NULL && event_add(io->timer, &tv) == 0);
}

/* tell_end - the last callback; the owner frees the io in it or soon after. */
static void tell_end(struct io *io, bool clean, const char *why)
{
    io->phase = IO_ENDED;
    drop_timer(io);
    loop_defer_cancel(&io->flush);
    arm(io);
    io->events->on_end(io->arg, clean, why);
}

static void end_broken(struct io *io)
{
    if (!io->wire.alert_sent) {
        tell_end(io, false, io->wire.why);
        return;
    }
    /* Closing now, with bytes of the peer unread, would send a reset that overtakes our alert. */
    io->phase = IO_DRAINING;
    io->why = io->wire.why;
    buf_free(&io->out);
    io->plain_left = 0;
    (void)shutdown(io->wire.fd, SHUT_WR);
    start_timer(io, ALERT_LINGER_MS);
    arm(io);
}

/* The steps below return false when the io is gone or over: the driver then returns at once. */

static bool step_handshake(struct io *io)
{
    enum wire_result result = wire_handshake(&io->wire);

    io->handshake_writes = result == WIRE_WANT_WRITE;
    if (result == WIRE_WANT_READ || result == WIRE_WANT_WRITE) return true;
    if (result != WIRE_OK) {
        end_broken(io);
        return false;
    }
    io->phase = IO_SECURE;
    if (io->events->on_secure) io->events->on_secure(io->arg);
    return driven == io;
}

static enum wire_result write_front(struct io *io, size_t *put)
{
    if (io->plain_left > 0) return wire_write_plain(&io->wire, buf_data(&io->out), io->plain_left, put);
    return wire_write(&io->wire, buf_data(&io->out), buf_len(&io->out), put);
}

/* step_write - give the kernel what it takes.  Afterwards out is empty, or one of the waiting flags is set, or the
 * rest waits for the handshake. */
static bool step_write(struct io *io)
{
    bool wrote = false;

    io->write_blocked = io->write_wants_read = false;
    while (buf_len(&io->out) > 0 && (io->phase == IO_PLAIN || io->phase == IO_SECURE || io->plain_left > 0)) {
        size_t put = 0;
        enum wire_result result = write_front(io, &put);
        if (result == WIRE_BROKEN) {
            end_broken(io);
            return false;
        }
        io->write_blocked = result == WIRE_WANT_WRITE;
        io->write_wants_read = result == WIRE_WANT_READ;
        if (result != WIRE_OK) return true;
        buf_consume(&io->out, put);
        if (io->plain_left > 0) io->plain_left -= put;
        io->bytes_out += put;
        wrote = true;
    }
    if (buf_len(&io->out) > 0 || !wrote || !io->events->on_drained) return true;
    io->events->on_drained(io->arg);
    return driven == io;
}

/* step_shutdown - when all is written, end our direction; when both directions have ended, so has the stream. */
static bool step_shutdown(struct io *io)
{
    if (buf_len(&io->out) > 0 || (io->phase != IO_PLAIN && io->phase != IO_SECURE)) return true;
    if (io->shutting && !io->fin_sent) {
        enum wire_result result = wire_end(&io->wire);
        if (result == WIRE_BROKEN) {
            end_broken(io);
            return false;
        }
        io->write_blocked = result == WIRE_WANT_WRITE;
        if (result != WIRE_OK) return true;
        io->fin_sent = true;
    }
    if (!io->peer_ended) return true;
    if (io->phase == IO_SECURE && !io->fin_sent) {
        /* Our close_notify, if there is room: the stream is over either way. */
        enum wire_result ignored = wire_end(&io->wire);
        (void)ignored;
    }
    tell_end(io, true, "eof");
    return false;
}

static bool step_discard(struct io *io)
{
    size_t total = 0;

    while (total < READ_TURN_BYTES) {
        enum wire_result result = wire_discard(&io->wire, read_buffer, sizeof read_buffer);
        if (result == WIRE_WANT_READ) return true;
        if (result != WIRE_OK) {
            tell_end(io, false, io->why);
            return false;
        }
        total += sizeof read_buffer;
    }
    return true;
}

static bool may_read(const struct io *io)
{
    return (io->phase == IO_PLAIN || io->phase == IO_SECURE) && !io->paused && !io->peer_ended;
}

static bool step_read(struct io *io)
{
    size_t total = 0;

    io->read_wants_write = false;
    while (may_read(io) && total < READ_TURN_BYTES) {
        size_t got = 0;
        enum wire_result result = wire_read(&io->wire, read_buffer, sizeof read_buffer, &got);
        if (result == WIRE_BROKEN) {
            end_broken(io);
            return false;
        }
        io->read_wants_write = result == WIRE_WANT_WRITE;
        if (result == WIRE_WANT_READ || result == WIRE_WANT_WRITE) return true;
        if (result == WIRE_END) {
            io->peer_ended = true;
            return true;
        }
        io->bytes_in += got;
        /* What TLS has read for it has cost time, however little of it was data. */
        total += io->wire.taken > got ? io->wire.taken : got;
        io->events->on_data(io->arg, read_buffer, got);
        mem_wipe(read_buffer, got); /* it stays as long as the thread, and may have held a password */
        if (driven != io) return false;
        /* A short read has emptied the kernel's buffer; asking once more would only cost a system call. */
        if (!io->wire.ssl && got < sizeof read_buffer) break;
    }
    return true;
}

/* drive - do what can be done now.  what: the descriptor is known to be ready for it.  A callback of one step may ask
 * for the work of an earlier one (io_write, io_start_tls): that is done at the end of the turn. */
static bool drive(struct io *io, short what)
{
    bool readable = what & EV_READ;

    if (io->phase == IO_ENDED) return false;
    if (io->phase == IO_DRAINING) return !readable || step_discard(io);
    if (io->phase == IO_HANDSHAKE && !step_handshake(io)) return false;
    if ((!io->write_blocked || (what & EV_WRITE)) && !step_write(io)) return false;
    if (io->phase == IO_SWITCHING && io->plain_left == 0) {
        io->phase = IO_HANDSHAKE;
        io->handshake_writes = false;
        /* A client has the first word. */
        if (!SSL_is_server(io->wire.ssl) && !step_handshake(io)) return false;
    }
    if ((readable || io->read_wants_write) && !step_read(io)) return false;
    if (!step_shutdown(io)) return false;
    if (io->peer_ended) start_timer(io, EOF_FLUSH_MS);
    return true;
}

static void schedule(struct io *io)
{
    if (io->loop && io->phase != IO_ENDED) loop_defer(io->loop, &io->flush);
}

/* turn - what: the events that have come; 0: the turn of the loop ends. */
static void turn(struct io *io, short what)
{
    CHECK_MAGIC(io, IO_MAGIC);
    driven = io;
    bool alive = drive(io, what) && driven == io;
    driven = NULL;
    if (!alive) return;
    arm(io);
    if (io->wire.ssl && io->phase != IO_SWITCHING) keep_warm(io);
    if (!may_read(io) || !wire_holds(&io->wire)) return;
    /* In the loop's next turn: among the events of this one it would come again and again before anything else. */
    if (what)
        schedule(io);
    else
        event_active(io->event, EV_READ, 0);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    turn(arg, what);
}

static void on_turn_end(void *arg)
{
    turn(arg, 0);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct io *io = arg;

    (void)fd;
    (void)what;
    CHECK_MAGIC(io, IO_MAGIC);
    tell_end(io, false, io->phase == IO_DRAINING ? io->why : "timeout");
}

struct io *io_new(struct loop *loop, int fd, const struct io_events *events, void *arg)
{
    struct io *io = MEM_NEW(struct io);

    io->magic = IO_MAGIC;
    io->events = events;
    io->arg = arg;
    io->wire.fd = fd;
    /* What io sends was gathered already; does nothing on a socket that is not TCP. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    io->event = event_new(loop_base(loop), fd, EV_READ | EV_PERSIST, on_event, io);
    CHECK(io->event != NULL);
    io->flush.fn = on_turn_end;
    io->flush.arg = io;
    io_attach(io, loop);
    return io;
}

static void leave_loop(struct io *io)
{
    if (driven == io) driven = NULL;
    if (!io->loop) return;
    if (list_linked(&io->warmth.link)) cool_down(loop_local(io->loop, make_warmth, end_warmth), &io->warmth);
    /* Also when nothing is armed: the event may be active. */
    event_del(io->event);
    io->armed = 0;
    loop_defer_cancel(&io->flush);
    io->loop = NULL;
}

void io_free(struct io **io_place)
{
    struct io *io = *io_place;

    if (!io) return;
    CHECK_MAGIC(io, IO_MAGIC);
    leave_loop(io);
    drop_timer(io);
    event_free(io->event);
    wire_close(&io->wire);
    buf_free(&io->out);
    io->magic = 0;
    free(io);
    *io_place = NULL;
}

void io_start_tls(struct io *io, SSL_CTX *ctx)
{
    SSL *ssl = SSL_new(ctx);
    /* Only lack of memory fails here, and that ends the process elsewhere too. */
    CHECK(ssl != NULL);
    io_connect_tls(io, ssl);
}

void io_connect_tls(struct io *io, SSL *ssl)
{
    if (io->phase == IO_ENDED) {
        SSL_free(ssl);
        return;
    }
    CHECK(io->phase == IO_PLAIN);
    wire_take_tls(&io->wire, ssl);
    SSL_set_options(ssl, SSL_OP_CLEANSE_PLAINTEXT);
    SSL_clear_mode(ssl, SSL_MODE_RELEASE_BUFFERS); /* see struct warmth */
    io->plain_left = buf_len(&io->out);
    io->phase = IO_SWITCHING;
    schedule(io);
}

void io_write(struct io *io, const void *data, size_t len)
{
    if (len == 0 || io->shutting || io->phase == IO_DRAINING || io->phase == IO_ENDED) return;
    buf_append(&io->out, data, len);
    if (!io->write_blocked && !io->write_wants_read) schedule(io);
}

size_t io_pending(const struct io *io)
{
    return buf_len(&io->out);
}

bool io_blocked(const struct io *io)
{
    return io->write_blocked || io->write_wants_read;
}

void io_shutdown(struct io *io, int64_t linger_ms)
{
    if (io->shutting || io->phase == IO_DRAINING || io->phase == IO_ENDED) return;
    CHECK(io->loop != NULL);
    io->shutting = true;
    start_timer(io, linger_ms);
    schedule(io);
}

void io_pause(struct io *io)
{
    io->paused = true;
    schedule(io);
}

void io_resume(struct io *io)
{
    if (!io->paused) return;
    io->paused = false;
    if (!io->loop || io->phase == IO_ENDED) return;
    arm(io);
    if (may_read(io) && wire_holds(&io->wire)) schedule(io);
}

void io_detach(struct io *io)
{
    CHECK(io->loop != NULL);
    leave_loop(io);
    drop_timer(io);
}

void io_hand_over(struct io *io, const struct io_events *events, void *arg)
{
    CHECK(driven != io);
    io->events = events;
    io->arg = arg;
}

void io_attach(struct io *io, struct loop *loop)
{
    CHECK(io->loop == NULL);
    io->loop = loop;
    event_assign(io->event, loop_base(loop), io->wire.fd, EV_READ | EV_PERSIST, on_event, io);
    arm(io);
    if (io->linger_ms > 0) start_timer(io, io->linger_ms);
    schedule(io);
}

SSL *io_ssl(const struct io *io)
{
    return io->wire.ssl;
}

int io_fd(const struct io *io)
{
    return io->wire.fd;
}

uint64_t io_bytes_in(const struct io *io)
{
    return io->bytes_in;
}

uint64_t io_bytes_out(const struct io *io)
{
    return io->bytes_out;
}
