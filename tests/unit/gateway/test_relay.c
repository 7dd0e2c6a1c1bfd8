#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/relay.h"
#include "lib/mem.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB                 ((size_t)1024 * 1024)
#define CHUNK_BYTES         (MIB / 4)
#define UNDER_WAY_MAX_BYTES (2 * MIB)

/* writer -> source ==relay==> sink -> reader */
struct bench {
    struct relay_shared shared;
    struct relay_way way;
    int writer, source, sink, reader;
};

static int setup(void **state)
{
    static struct bench bench;
    int in[2], out[2];
    memset(&bench, 0, sizeof(bench));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, in), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, out), 0);
    bench.writer = in[0];
    bench.source = in[1];
    bench.sink = out[0];
    bench.reader = out[1];
    relay_shared_init(&bench.shared);
    *state = &bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    relay_release(&b->shared, &b->way);
    relay_shared_close(&b->shared);
    close(b->writer);
    close(b->source);
    close(b->sink);
    if (b->reader >= 0) close(b->reader);
    return 0;
}

static enum relay_status move(struct bench *b)
{
    return relay_move(&b->shared, &b->way, b->source, b->sink);
}

static void expect_read(const struct bench *b, const char *text)
{
    char buffer[256];
    ssize_t n = recv(b->reader, buffer, sizeof(buffer), 0);
    assert_int_equal(n, (ssize_t)strlen(text));
    assert_memory_equal(buffer, text, strlen(text));
}

static void test_few_bytes(void **state)
{
    struct bench *b = *state;
    assert_int_equal(move(b), RELAY_OK);
    assert_true(relay_wants_read(&b->way));
    assert_int_equal(send(b->writer, "hello", 5, 0), 5);
    assert_int_equal(move(b), RELAY_OK);
    expect_read(b, "hello");
    assert_int_equal(b->way.bytes, 5);
    assert_null(b->way.rest);
    assert_null(b->way.pipe);
    assert_int_equal(b->shared.pipes.count, 0);
}

static void test_queued_bytes_go_first_and_are_not_counted(void **state)
{
    struct bench *b = *state;
    assert_int_equal(send(b->writer, "body", 4, 0), 4);
    relay_queue(&b->way, "PROXY ", 6);
    assert_true(relay_wants_write(&b->way));
    assert_false(relay_wants_read(&b->way));
    assert_int_equal(move(b), RELAY_OK);
    expect_read(b, "PROXY body");
    assert_int_equal(b->way.bytes, 4);
}

static void test_end_is_passed_on(void **state)
{
    struct bench *b = *state;
    assert_int_equal(send(b->writer, "bye", 3, 0), 3);
    assert_int_equal(shutdown(b->writer, SHUT_WR), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(move(b), RELAY_OK);
    assert_true(b->way.source_ended);
    assert_true(b->way.finished);
    assert_false(relay_wants_read(&b->way));
    expect_read(b, "bye");
    char byte;
    assert_int_equal(recv(b->reader, &byte, 1, 0), 0);
    /* The other direction is still open. */
    assert_int_equal(send(b->reader, "more", 4, 0), 4);
}

static void test_broken_sink(void **state)
{
    struct bench *b = *state;
    close(b->reader);
    b->reader = -1;
    assert_int_equal(send(b->writer, "x", 1, 0), 1);
    assert_int_equal(move(b), RELAY_SINK_BROKEN);
}

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 31 + at / 251);
}

/* Pump total bytes with a reader that takes at most read_bytes a round; check each byte and both bounds. */
static void pump(struct bench *b, size_t total, size_t read_bytes)
{
    size_t written = 0, received = 0;
    uint8_t *chunk = mem_alloc(CHUNK_BYTES), *got = mem_alloc(read_bytes);
    while (received < total) {
        size_t want = total - written < CHUNK_BYTES ? total - written : CHUNK_BYTES;
        for (size_t i = 0; i < want; i++)
            chunk[i] = pattern(written + i);
        ssize_t n = want > 0 ? send(b->writer, chunk, want, 0) : 0;
        if (n > 0) written += (size_t)n;
        if (written == total && n > 0) assert_int_equal(shutdown(b->writer, SHUT_WR), 0);
        assert_int_equal(move(b), RELAY_OK);
        n = recv(b->reader, got, read_bytes, 0);
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(got[i], pattern(received + (size_t)i));
        if (n > 0) received += (size_t)n;
        /* Back-pressure: while something waits nothing more is read. */
        assert_false(relay_wants_read(&b->way) && relay_wants_write(&b->way));
        assert_true(b->way.bytes - received <= UNDER_WAY_MAX_BYTES);
    }
    while (!b->way.finished)
        assert_int_equal(move(b), RELAY_OK);
    assert_int_equal(b->way.bytes, total);
    free(chunk);
    free(got);
}

static void test_bulk_goes_through_a_pipe(void **state)
{
    struct bench *b = *state;
    const int size = 1024 * 1024;
    assert_int_equal(setsockopt(b->writer, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
    pump(b, 32 * MIB, MIB / 2);
    assert_true(b->shared.pipes.count > 0);
    /* The pipe has come back. */
    assert_int_equal(b->shared.pipes.count, b->shared.pipes.idle_count);
    assert_null(b->way.pipe);
}

static void test_slow_reader_bounds_memory(void **state)
{
    struct bench *b = *state;
    pump(b, 4 * MIB, 10000);
    assert_int_equal(b->shared.pipes.count, b->shared.pipes.idle_count);
}

static void test_release_drops_what_is_under_way(void **state)
{
    struct bench *b = *state;
    static uint8_t chunk[64 * 1024];
    for (int i = 0; i < 200 && !relay_wants_write(&b->way); i++) {
        while (send(b->writer, chunk, sizeof(chunk), 0) > 0)
            ;
        assert_int_equal(move(b), RELAY_OK);
    }
    assert_true(relay_wants_write(&b->way));
    relay_release(&b->shared, &b->way);
    assert_false(relay_wants_write(&b->way));
    /* A pipe with bytes inside must not be lent again. */
    assert_int_equal(b->shared.pipes.count, b->shared.pipes.idle_count);
}

/* Put a TCP connection in the place of writer and source: only TCP has urgent bytes. */
static void use_tcp(struct bench *b)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    const int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)), 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    close(b->writer);
    close(b->source);
    b->writer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(b->writer, (struct sockaddr *)&at, sizeof(at)), 0);
    b->source = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(b->source >= 0);
    close(listener);
}

static void test_urgent_byte_is_not_the_end(void **state)
{
    struct bench *b = *state;
    use_tcp(b);
    b->way.bulk = true;
    assert_int_equal(send(b->writer, "all ", 4, 0), 4);
    assert_int_equal(send(b->writer, "!", 1, MSG_OOB), 1);
    assert_int_equal(send(b->writer, " there", 6, 0), 6);
    assert_int_equal(shutdown(b->writer, SHUT_WR), 0);
    struct pollfd ended = {.fd = b->source, .events = POLLRDHUP};
    assert_int_equal(poll(&ended, 1, 10000), 1);
    for (int i = 0; i < 10 && !b->way.finished; i++)
        assert_int_equal(move(b), RELAY_OK);
    assert_true(b->way.finished);
    expect_read(b, "all ! there");
}

static void test_pool_reuses_and_forgets(void **state)
{
    struct bench *b = *state;
    struct pipe_pool_pipe *pipe = pipe_pool_take(&b->shared.pipes);
    assert_non_null(pipe);
    const struct pipe_pool_pipe *first = pipe;
    pipe_pool_give(&b->shared.pipes, &pipe);
    assert_null(pipe);
    pipe = pipe_pool_take(&b->shared.pipes);
    assert_ptr_equal(pipe, first);
    assert_int_equal(write(pipe->write_fd, "x", 1), 1);
    pipe->bytes = 1;
    pipe_pool_give(&b->shared.pipes, &pipe);
    assert_int_equal(b->shared.pipes.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_few_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_queued_bytes_go_first_and_are_not_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_is_passed_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broken_sink, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bulk_goes_through_a_pipe, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_reader_bounds_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_release_drops_what_is_under_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_urgent_byte_is_not_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pool_reuses_and_forgets, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
