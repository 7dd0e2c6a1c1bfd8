#include "gateway/tls_relay.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

enum {
    ROUNDS_MAX = 4,                          /* buffers for each call: 256 KiB */
    RECORD_BYTES = SSL3_RT_MAX_PLAIN_LENGTH, /* the most that one record holds */
    FIRST_RECORD_BYTES = 4 * 1024,           /* three segments */
    FIRST_BYTES = 32 * 1024,                 /* so many go in small records */
};

enum step { STEP_MORE, STEP_WAIT, STEP_SOURCE_BROKEN, STEP_SINK_BROKEN };

static bool would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static enum relay_status status_of(enum step step)
{
    if (step == STEP_SOURCE_BROKEN) return RELAY_SOURCE_BROKEN;
    return step == STEP_SINK_BROKEN ? RELAY_SINK_BROKEN : RELAY_OK;
}

static enum step send_plain(struct relay_way *way, int sink)
{
    const uint8_t *data = NULL;
    size_t len = relay_queued(way, &data);
    if (len == 0) return STEP_MORE;
    ssize_t n = send(sink, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) return would_block() ? STEP_WAIT : STEP_SINK_BROKEN;
    relay_taken(way, (size_t)n);
    return (size_t)n == len ? STEP_MORE : STEP_WAIT;
}

/* Records into the buffer while another one surely fits: OpenSSL keeps nothing decrypted then.  STEP_MORE: it is full.
 */
static enum step read_records(struct relay_way *way, struct secure *secure, uint8_t *buffer, size_t *len)
{
    secure->read_wants_write = false;
    while (RELAY_BUFFER_BYTES - *len >= RECORD_BYTES) {
        size_t got = 0;
        switch (wire_read(&secure->wire, buffer + *len, RELAY_BUFFER_BYTES - *len, &got)) {
        case WIRE_OK:
            *len += got;
            break;
        case WIRE_WANT_READ:
            return STEP_WAIT;
        case WIRE_WANT_WRITE:
            secure->read_wants_write = true;
            return STEP_WAIT;
        case WIRE_END:
            way->source_ended = true;
            return STEP_WAIT;
        case WIRE_BROKEN:
            return STEP_SOURCE_BROKEN;
        }
    }
    return STEP_MORE;
}

static enum step up_once(struct relay_shared *shared, struct relay_way *way, struct secure *secure, int sink)
{
    size_t len = 0;
    enum step step = read_records(way, secure, shared->buffer, &len);
    way->bytes += len;
    if (step == STEP_SOURCE_BROKEN || len == 0) return step;
    ssize_t put = send(sink, shared->buffer, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put < 0 && !would_block()) return STEP_SINK_BROKEN;
    if (put == (ssize_t)len) return step;
    size_t done = put < 0 ? 0 : (size_t)put;
    relay_queue(way, shared->buffer + done, len - done);
    return STEP_WAIT;
}

enum relay_status tls_relay_up(struct relay_shared *shared, struct relay_way *way, struct secure *secure, int sink)
{
    secure->more = false;
    if (way->finished) return RELAY_OK;
    enum step step = send_plain(way, sink);
    for (int i = 0; step == STEP_MORE && !way->source_ended && i < ROUNDS_MAX; i++)
        step = up_once(shared, way, secure, sink);
    secure->more = step == STEP_MORE && !way->source_ended;
    if (way->source_ended && !relay_wants_write(way)) {
        way->finished = true;
        /* ENOTCONN: the other side is gone already; reading from it will tell. */
        if (!way->last && shutdown(sink, SHUT_WR) < 0 && errno != ENOTCONN) return RELAY_SINK_BROKEN;
    }
    return status_of(step);
}

/* As many bytes as TLS takes now, counted in *put. */
static enum step write_records(struct secure *secure, const uint8_t *data, size_t len, size_t *put)
{
    secure->write_wants_read = false;
    while (*put < len) {
        size_t n = 0;
        switch (wire_write(&secure->wire, data + *put, len - *put, &n)) {
        case WIRE_OK:
            *put += n;
            break;
        case WIRE_WANT_READ:
            secure->write_wants_read = true;
            return STEP_WAIT;
        case WIRE_WANT_WRITE:
            return STEP_WAIT;
        case WIRE_END:
        case WIRE_BROKEN:
            return STEP_SINK_BROKEN;
        }
    }
    return STEP_MORE;
}

static enum step flush_records(struct relay_way *way, struct secure *secure)
{
    const uint8_t *data = NULL;
    size_t len = relay_queued(way, &data), put = 0;
    if (len == 0) return STEP_MORE;
    enum step step = write_records(secure, data, len, &put);
    if (put > 0) relay_taken(way, put);
    return step;
}

/* Only between two writes: OpenSSL's buffer for one that goes on has the size of its record. */
static void choose_record_size(const struct relay_way *way, struct secure *secure)
{
    if (secure->whole_records) return;
    secure->whole_records = way->bytes >= FIRST_BYTES;
    const size_t bytes = secure->whole_records ? RECORD_BYTES : FIRST_RECORD_BYTES;
    /* The second follows the first down, but not up. */
    (void)SSL_set_max_send_fragment(secure->wire.ssl, bytes);
    (void)SSL_set_split_send_fragment(secure->wire.ssl, bytes);
}

static enum step down_once(struct relay_shared *shared, struct relay_way *way, struct secure *secure, int source)
{
    ssize_t got = recv(source, shared->buffer, RELAY_BUFFER_BYTES, MSG_DONTWAIT);
    if (got < 0) return would_block() ? STEP_WAIT : STEP_SOURCE_BROKEN;
    if (got == 0) {
        way->source_ended = true;
        return STEP_WAIT;
    }
    choose_record_size(way, secure);
    way->bytes += (size_t)got;
    size_t put = 0;
    enum step step = write_records(secure, shared->buffer, (size_t)got, &put);
    if (step == STEP_SINK_BROKEN) return step;
    if (put < (size_t)got) {
        /* The rest begins with what OpenSSL has begun to send, and is tried again as a whole. */
        relay_queue(way, shared->buffer + put, (size_t)got - put);
        return STEP_WAIT;
    }
    /* A short read emptied the source: asking again would only tell us so. */
    return got == RELAY_BUFFER_BYTES ? STEP_MORE : STEP_WAIT;
}

static enum relay_status end_sink(struct relay_way *way, struct secure *secure)
{
    enum wire_result result = wire_end(&secure->wire);
    way->finished = result != WIRE_WANT_WRITE;
    return result == WIRE_BROKEN ? RELAY_SINK_BROKEN : RELAY_OK;
}

enum relay_status tls_relay_down(struct relay_shared *shared, struct relay_way *way, struct secure *secure, int source)
{
    if (way->finished) return RELAY_OK;
    enum step step = flush_records(way, secure);
    for (int i = 0; step == STEP_MORE && !way->source_ended && i < ROUNDS_MAX; i++)
        step = down_once(shared, way, secure, source);
    if (step == STEP_SOURCE_BROKEN || step == STEP_SINK_BROKEN) return status_of(step);
    if (way->source_ended && !relay_wants_write(way)) return end_sink(way, secure);
    return RELAY_OK;
}

/* A way whose end has come and has not been passed on waits to write its close_notify. */
static bool down_waits(const struct relay_way *down)
{
    return relay_wants_write(down) || (down->source_ended && !down->finished);
}

bool tls_relay_wants_read(const struct secure *secure, const struct relay_way *up)
{
    return (relay_wants_read(up) && !secure->read_wants_write) || secure->write_wants_read;
}

bool tls_relay_wants_write(const struct secure *secure, const struct relay_way *down)
{
    return (down_waits(down) && !secure->write_wants_read) || secure->read_wants_write;
}
