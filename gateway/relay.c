#include "gateway/relay.h"

#include "lib/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    COPY_READS_MAX = 4,           /* buffers for each call: 256 KiB */
    BULK_BYTES_MAX = 1024 * 1024, /* spliced for each call */
    SPLICE_BYTES = 512 * 1024,    /* asked for at once */
    FULL_READS_TO_BULK = 2,       /* reads in a row that fill the buffer before splicing begins */
    BULK_BYTES_MIN = 32 * 1024,   /* a call that splices less goes back to copying */
};

/* Bytes [start, end) of data wait for the sink. */
struct relay_rest {
    size_t start, end;
    uint8_t data[];
};

enum step { STEP_MORE, STEP_WAIT, STEP_SOURCE_BROKEN, STEP_SINK_BROKEN };

void relay_shared_init(struct relay_shared *shared)
{
    shared->buffer = mem_alloc(RELAY_BUFFER_BYTES);
    pipe_pool_init(&shared->pipes);
}

void relay_shared_close(struct relay_shared *shared)
{
    pipe_pool_close(&shared->pipes);
    free(shared->buffer);
    shared->buffer = NULL;
}

static bool would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

void relay_queue(struct relay_way *way, const void *data, size_t len)
{
    CHECK(way->pipe == NULL);
    if (len == 0) return;
    size_t start = way->rest != NULL ? way->rest->start : 0, end = way->rest != NULL ? way->rest->end : 0;
    way->rest = mem_realloc(way->rest, sizeof(*way->rest) + end + len);
    way->rest->start = start;
    way->rest->end = end + len;
    memcpy(way->rest->data + end, data, len);
}

size_t relay_queued(const struct relay_way *way, const uint8_t **data)
{
    if (way->rest == NULL) return 0;
    *data = way->rest->data + way->rest->start;
    return way->rest->end - way->rest->start;
}

void relay_taken(struct relay_way *way, size_t len)
{
    way->rest->start += len;
    CHECK(way->rest->start <= way->rest->end);
    if (way->rest->start < way->rest->end) return;
    free(way->rest);
    way->rest = NULL;
}

static enum step flush_rest(struct relay_way *way, int sink)
{
    const uint8_t *data = NULL;
    size_t len = relay_queued(way, &data);
    ssize_t n = send(sink, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) return would_block() ? STEP_WAIT : STEP_SINK_BROKEN;
    relay_taken(way, (size_t)n);
    return way->rest == NULL ? STEP_MORE : STEP_WAIT;
}

/* Out of the pipe as far as the sink takes it; the pipe goes back when it is empty. */
static enum step flush_pipe(struct relay_shared *shared, struct relay_way *way, int sink)
{
    while (way->pipe->bytes > 0) {
        ssize_t n = splice(way->pipe->read_fd, NULL, sink, NULL, way->pipe->bytes, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (n < 0) return would_block() ? STEP_WAIT : STEP_SINK_BROKEN;
        if (n == 0) return STEP_SINK_BROKEN;
        way->pipe->bytes -= (size_t)n;
    }
    pipe_pool_give(&shared->pipes, &way->pipe);
    return STEP_MORE;
}

static enum step flush(struct relay_shared *shared, struct relay_way *way, int sink)
{
    if (way->rest != NULL) return flush_rest(way, sink);
    if (way->pipe != NULL) return flush_pipe(shared, way, sink);
    return STEP_MORE;
}

static enum step copy_once(struct relay_shared *shared, struct relay_way *way, int source, int sink)
{
    ssize_t got = recv(source, shared->buffer, RELAY_BUFFER_BYTES, MSG_DONTWAIT);
    if (got < 0) return would_block() ? STEP_WAIT : STEP_SOURCE_BROKEN;
    if (got == 0) {
        way->source_ended = true;
        return STEP_WAIT;
    }
    way->bytes += (size_t)got;
    bool full = got == RELAY_BUFFER_BYTES;
    way->full_reads = full ? (uint8_t)(way->full_reads + 1) : 0;
    ssize_t put = send(sink, shared->buffer, (size_t)got, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put < 0 && !would_block()) return STEP_SINK_BROKEN;
    if (put < got) {
        size_t done = put < 0 ? 0 : (size_t)put;
        relay_queue(way, shared->buffer + done, (size_t)got - done);
        return STEP_WAIT;
    }
    /* A short read emptied the source: asking again would only tell us so. */
    return full ? STEP_MORE : STEP_WAIT;
}

static enum step copy(struct relay_shared *shared, struct relay_way *way, int source, int sink)
{
    for (int i = 0; i < COPY_READS_MAX; i++) {
        enum step step = copy_once(shared, way, source, sink);
        if (way->full_reads >= FULL_READS_TO_BULK) {
            way->bulk = true;
            way->full_reads = 0;
            return step;
        }
        if (step != STEP_MORE) return step;
    }
    return STEP_WAIT;
}

/* One fill of the pipe and one emptying of it. */
static enum step splice_once(struct relay_shared *shared, struct relay_way *way, int source, int sink, size_t *moved)
{
    ssize_t n = splice(source, NULL, way->pipe->write_fd, NULL, SPLICE_BYTES, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n <= 0) {
        int saved = errno;
        pipe_pool_give(&shared->pipes, &way->pipe);
        errno = saved;
        /* The pipe was empty, so "would block" is about the source. */
        if (n < 0) return would_block() ? STEP_WAIT : STEP_SOURCE_BROKEN;
        /* Once the end has arrived, splice says "end" at an urgent byte, too, whatever follows it: recv knows. */
        return copy(shared, way, source, sink);
    }
    way->bytes += (size_t)n;
    way->pipe->bytes += (size_t)n;
    *moved += (size_t)n;
    return flush_pipe(shared, way, sink);
}

static enum step bulk(struct relay_shared *shared, struct relay_way *way, int source, int sink)
{
    size_t moved = 0;
    enum step step = STEP_MORE;
    while (step == STEP_MORE && moved < BULK_BYTES_MAX) {
        way->pipe = pipe_pool_take(&shared->pipes);
        if (way->pipe == NULL) return copy(shared, way, source, sink);
        step = splice_once(shared, way, source, sink, &moved);
    }
    if (way->pipe == NULL && moved < BULK_BYTES_MIN) way->bulk = false;
    return step;
}

static enum relay_status end_sink(struct relay_way *way, int sink)
{
    way->finished = true;
    if (way->last) return RELAY_OK;
    /* ENOTCONN: the other side is gone already; reading from it will tell. */
    if (shutdown(sink, SHUT_WR) < 0 && errno != ENOTCONN) return RELAY_SINK_BROKEN;
    return RELAY_OK;
}

enum relay_status relay_move(struct relay_shared *shared, struct relay_way *way, int source, int sink)
{
    if (way->finished) return RELAY_OK;
    enum step step = flush(shared, way, sink);
    if (step == STEP_MORE && !way->source_ended)
        step = way->bulk ? bulk(shared, way, source, sink) : copy(shared, way, source, sink);
    if (step == STEP_SOURCE_BROKEN) return RELAY_SOURCE_BROKEN;
    if (step == STEP_SINK_BROKEN) return RELAY_SINK_BROKEN;
    if (way->source_ended && !relay_wants_write(way)) return end_sink(way, sink);
    return RELAY_OK;
}

bool relay_wants_read(const struct relay_way *way)
{
    return !way->source_ended && !relay_wants_write(way);
}

bool relay_wants_write(const struct relay_way *way)
{
    return way->rest != NULL || way->pipe != NULL;
}

void relay_release(struct relay_shared *shared, struct relay_way *way)
{
    free(way->rest);
    way->rest = NULL;
    if (way->pipe != NULL) pipe_pool_give(&shared->pipes, &way->pipe);
}
