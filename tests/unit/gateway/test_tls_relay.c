#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/tls_relay.h"
#include "lib/mem.h"
#include "tests/unit/cert_fixture.h"

#include <fcntl.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define KIB                 ((size_t)1024)
#define MIB                 (1024 * KIB)
#define UNDER_WAY_MAX_BYTES (2 * MIB)

/* client ==TLS==> secure ==relay==> sink -> server, and back */
struct bench {
    struct cert_fixture cert;
    SSL_CTX *server_ctx, *client_ctx;
    struct relay_shared shared;
    struct relay_way up, down;
    struct secure *secure;
    SSL *client;
    int outside, inside; /* the client's socket and ours */
    int sink, server;    /* ours to the server, and the server's */
};

static void make_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

/* version: TLS1_2_VERSION or TLS1_3_VERSION. */
static void open_bench(struct bench *b, int version)
{
    int fds[2];
    memset(b, 0, sizeof(*b));
    cert_fixture_make(&b->cert, "EC", EVP_sha256(), "relay.example.test");
    b->server_ctx = SSL_CTX_new(TLS_server_method());
    b->client_ctx = SSL_CTX_new(TLS_client_method());
    assert_int_equal(SSL_CTX_use_certificate_chain_file(b->server_ctx, b->cert.cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(b->server_ctx, b->cert.key, SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(b->client_ctx, version), 1);
    SSL_CTX_set_mode(b->client_ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    relay_shared_init(&b->shared);
    make_pair(fds);
    b->outside = fds[0];
    b->inside = fds[1];
    make_pair(fds);
    b->sink = fds[0];
    b->server = fds[1];
    b->secure = secure_new(NULL, SSL_new(b->server_ctx), b->inside);
    b->client = SSL_new(b->client_ctx);
    assert_int_equal(SSL_set_fd(b->client, b->outside), 1);
    for (int i = 0; i < 10; i++) {
        int done = SSL_connect(b->client);
        enum wire_result mine = wire_handshake(&b->secure->wire);
        if (done == 1 && mine == WIRE_OK) return;
        assert_true(mine == WIRE_OK || mine == WIRE_WANT_READ);
    }
    fail_msg("no handshake");
}

static void close_bench(struct bench *b)
{
    secure_free(&b->secure, false);
    assert_null(b->secure);
    SSL_free(b->client);
    SSL_CTX_free(b->client_ctx);
    SSL_CTX_free(b->server_ctx);
    relay_release(&b->shared, &b->up);
    relay_release(&b->shared, &b->down);
    relay_shared_close(&b->shared);
    cert_fixture_drop(&b->cert);
    const int fds[] = {b->outside, b->inside, b->sink, b->server};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        if (fds[i] >= 0) close(fds[i]);
}

static int setup(void **state)
{
    static struct bench bench;
    open_bench(&bench, TLS1_3_VERSION);
    *state = &bench;
    return 0;
}

static int setup_tls12(void **state)
{
    static struct bench bench;
    open_bench(&bench, TLS1_2_VERSION);
    *state = &bench;
    return 0;
}

static int teardown(void **state)
{
    close_bench(*state);
    return 0;
}

static enum relay_status up(struct bench *b)
{
    return tls_relay_up(&b->shared, &b->up, b->secure, b->sink);
}

static enum relay_status down(struct bench *b)
{
    return tls_relay_down(&b->shared, &b->down, b->secure, b->sink);
}

static void expect_server_reads(const struct bench *b, const char *text)
{
    char buffer[256];
    ssize_t n = recv(b->server, buffer, sizeof(buffer), 0);
    assert_int_equal(n, (ssize_t)strlen(text));
    assert_memory_equal(buffer, text, strlen(text));
}

static void expect_client_reads(const struct bench *b, const char *text)
{
    char buffer[256];
    size_t got = 0;
    assert_int_equal(SSL_read_ex(b->client, buffer, sizeof(buffer), &got), 1);
    assert_int_equal(got, strlen(text));
    assert_memory_equal(buffer, text, got);
}

static void client_writes(const struct bench *b, const char *text)
{
    assert_int_equal(SSL_write(b->client, text, (int)strlen(text)), (int)strlen(text));
}

static void test_few_bytes(void **state)
{
    struct bench *b = *state;
    assert_int_equal(up(b), RELAY_OK);
    assert_int_equal(down(b), RELAY_OK);
    assert_true(tls_relay_wants_read(b->secure, &b->up));
    assert_false(tls_relay_wants_write(b->secure, &b->down));
    client_writes(b, "hello");
    client_writes(b, " there");
    assert_int_equal(up(b), RELAY_OK);
    expect_server_reads(b, "hello there");
    assert_int_equal(send(b->server, "welcome", 7, 0), 7);
    assert_int_equal(down(b), RELAY_OK);
    expect_client_reads(b, "welcome");
    assert_int_equal(b->up.bytes, 11);
    assert_int_equal(b->down.bytes, 7);
    assert_null(b->up.rest);
    assert_null(b->down.rest);
    assert_false(b->secure->more);
}

/* What the client sends through memory, in two parts cut anywhere. */
static void test_a_record_cut_anywhere(void **state)
{
    struct bench *b = *state;
    BIO *sent = BIO_new(BIO_s_mem());
    BIO_up_ref(SSL_get_rbio(b->client));
    SSL_set0_wbio(b->client, sent);
    for (size_t cut = 1;; cut++) {
        char *data = NULL;
        client_writes(b, "one record");
        size_t len = (size_t)BIO_get_mem_data(sent, &data);
        if (cut == len) break;
        assert_int_equal(send(b->outside, data, cut, 0), (ssize_t)cut);
        assert_int_equal(up(b), RELAY_OK);
        assert_int_equal(b->up.bytes, (cut - 1) * strlen("one record"));
        assert_int_equal(send(b->outside, data + cut, len - cut, 0), (ssize_t)(len - cut));
        assert_int_equal(up(b), RELAY_OK);
        expect_server_reads(b, "one record");
        assert_int_equal(BIO_reset(sent), 1);
    }
    assert_true(b->up.bytes > 20 * strlen("one record"));
    BIO_free(SSL_get_rbio(b->client)); /* the reference of above: set0_wbio has dropped the other one */
}

/* One side of a transfer of random bytes: so many have been sent, and so many received as they should be. */
struct flow {
    const uint8_t *data;
    size_t len, sent, received;
};

static void client_turn(struct bench *b, struct flow *out, struct flow *in)
{
    static uint8_t buffer[48 * 1024];
    size_t n = 0;
    if (out->sent < out->len && SSL_write_ex(b->client, out->data + out->sent, out->len - out->sent, &n) == 1)
        out->sent += n;
    while (SSL_read_ex(b->client, buffer, sizeof(buffer), &n) == 1) {
        assert_memory_equal(buffer, in->data + in->received, n);
        in->received += n;
    }
}

static void server_turn(struct bench *b, struct flow *out, struct flow *in)
{
    static uint8_t buffer[100 * 1024];
    ssize_t n = send(b->server, out->data + out->sent, out->len - out->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) out->sent += (size_t)n;
    while ((n = recv(b->server, buffer, sizeof(buffer), MSG_DONTWAIT)) > 0) {
        assert_memory_equal(buffer, in->data + in->received, n);
        in->received += (size_t)n;
    }
}

static void test_many_bytes_both_ways(void **state)
{
    struct bench *b = *state;
    const size_t len = 6 * MIB + 12345;
    uint8_t *one = mem_alloc(len), *two = mem_alloc(len);
    assert_int_equal(RAND_bytes(one, (int)len), 1);
    assert_int_equal(RAND_bytes(two, (int)len), 1);
    struct flow upward = {.data = one, .len = len}, downward = {.data = two, .len = len};
    size_t turns = 0;
    while (upward.received < len || downward.received < len) {
        assert_true(turns++ < 100000);
        client_turn(b, &upward, &downward);
        assert_int_equal(up(b), RELAY_OK);
        assert_int_equal(down(b), RELAY_OK);
        server_turn(b, &downward, &upward);
        if (turns % 100 == 50) assert_int_equal(SSL_key_update(b->client, SSL_KEY_UPDATE_REQUESTED), 1);
    }
    assert_int_equal(b->up.bytes, len);
    assert_int_equal(b->down.bytes, len);
    assert_null(b->up.rest);
    assert_null(b->down.rest);
    free(one);
    free(two);
}

static void test_a_server_that_does_not_read(void **state)
{
    struct bench *b = *state;
    const size_t len = 8 * MIB;
    uint8_t *data = mem_alloc(len);
    assert_int_equal(RAND_bytes(data, (int)len), 1);
    struct flow upward = {.data = data, .len = len}, nothing = {0};
    for (int i = 0; i < 1000; i++) {
        client_turn(b, &upward, &nothing);
        assert_int_equal(up(b), RELAY_OK);
    }
    assert_true(upward.sent > 0 && upward.sent < UNDER_WAY_MAX_BYTES);
    assert_true(b->up.rest != NULL && relay_wants_write(&b->up));
    assert_false(tls_relay_wants_read(b->secure, &b->up));
    while (upward.received < len) {
        client_turn(b, &upward, &nothing);
        server_turn(b, &nothing, &upward);
        assert_int_equal(up(b), RELAY_OK);
    }
    assert_true(tls_relay_wants_read(b->secure, &b->up));
    free(data);
}

static void test_a_client_that_does_not_read(void **state)
{
    struct bench *b = *state;
    const size_t len = 8 * MIB;
    uint8_t *data = mem_alloc(len);
    assert_int_equal(RAND_bytes(data, (int)len), 1);
    struct flow downward = {.data = data, .len = len}, nothing = {0};
    for (int i = 0; i < 1000; i++) {
        server_turn(b, &downward, &nothing);
        assert_int_equal(down(b), RELAY_OK);
    }
    assert_true(downward.sent > 0 && downward.sent < UNDER_WAY_MAX_BYTES);
    assert_true(tls_relay_wants_write(b->secure, &b->down));
    assert_false(relay_wants_read(&b->down));
    /* The other way goes on meanwhile. */
    client_writes(b, "still here");
    assert_int_equal(up(b), RELAY_OK);
    expect_server_reads(b, "still here");
    while (downward.received < len) {
        client_turn(b, &nothing, &downward);
        server_turn(b, &downward, &nothing);
        assert_int_equal(down(b), RELAY_OK);
    }
    assert_false(tls_relay_wants_write(b->secure, &b->down));
    free(data);
}

static void test_reading_is_bounded(void **state)
{
    struct bench *b = *state;
    uint8_t *data = mem_alloc(MIB);
    uint8_t *drain = mem_alloc(MIB);
    struct flow upward = {.data = data, .len = MIB}, nothing = {0};
    const int room = (int)(4 * MIB);
    assert_int_equal(setsockopt(b->sink, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
    assert_int_equal(setsockopt(b->outside, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
    /* Fill the kernel's buffer; what is taken in one call leaves some of it. */
    size_t before = SIZE_MAX;
    while (upward.sent != before) {
        before = upward.sent;
        client_turn(b, &upward, &nothing);
    }
    size_t calls = 0;
    bool paused = false;
    while (b->up.bytes < upward.sent) {
        uint64_t taken = b->up.bytes;
        assert_int_equal(up(b), RELAY_OK);
        assert_true(b->up.bytes - taken <= 256 * KIB);
        paused = paused || b->secure->more;
        while (recv(b->server, drain, MIB, MSG_DONTWAIT) > 0)
            ;
        assert_true(calls++ < 100);
    }
    assert_int_equal(up(b), RELAY_OK);
    assert_false(b->secure->more);
    assert_true(paused || upward.sent <= 256 * KIB);
    free(data);
    free(drain);
}

/* What the client would send is gathered, and sent at once. */
static void gather(const struct bench *b)
{
    SSL_set0_wbio(b->client, BIO_new(BIO_s_mem()));
}

static size_t send_gathered(const struct bench *b)
{
    char *data = NULL;
    long len = BIO_get_mem_data(SSL_get_wbio(b->client), &data);
    const int room = (int)MIB;
    assert_int_equal(setsockopt(b->outside, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
    assert_int_equal(send(b->outside, data, (size_t)len, 0), len);
    return (size_t)len;
}

static size_t waiting_bytes(const struct bench *b)
{
    int waiting = 0;
    assert_int_equal(ioctl(b->inside, FIONREAD, &waiting), 0);
    return (size_t)waiting;
}

/* Each costs us as much as a small handshake, and OpenSSL would go on for as long as there are any. */
static void test_many_updates_of_keys(void **state)
{
    struct bench *b = *state;
    gather(b);
    for (int i = 0; i < 6000; i++) {
        assert_int_equal(SSL_key_update(b->client, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(b->client), 1);
    }
    const size_t len = send_gathered(b);
    assert_int_equal(up(b), RELAY_OK);
    assert_in_range(len - waiting_bytes(b), 1, 40 * KIB);
    enum relay_status status = RELAY_OK;
    for (int calls = 0; status == RELAY_OK && calls < 20; calls++)
        status = up(b);
    assert_int_equal(status, RELAY_SOURCE_BROKEN);
    assert_string_equal(b->secure->wire.why, "tls: too many records without data");
    assert_false(secure_is_cut(b->secure));
    assert_true(waiting_bytes(b) > 0);
}

static void test_close_notify_is_an_end(void **state)
{
    struct bench *b = *state;
    char byte;
    client_writes(b, "last words");
    assert_int_equal(SSL_shutdown(b->client), 0);
    assert_int_equal(up(b), RELAY_OK);
    expect_server_reads(b, "last words");
    assert_int_equal(recv(b->server, &byte, 1, 0), 0);
    assert_true(b->up.source_ended && b->up.finished);
    assert_false(tls_relay_wants_read(b->secure, &b->up));
    /* The other way is open still. */
    assert_int_equal(send(b->server, "answer", 6, 0), 6);
    assert_int_equal(down(b), RELAY_OK);
    expect_client_reads(b, "answer");
    assert_int_equal(shutdown(b->server, SHUT_WR), 0);
    assert_int_equal(down(b), RELAY_OK);
    assert_true(b->down.finished);
    assert_int_equal(SSL_shutdown(b->client), 1);
}

static void test_an_end_of_file_is_a_close_notify(void **state)
{
    struct bench *b = *state;
    char byte;
    size_t got;
    assert_int_equal(send(b->server, "bye", 3, 0), 3);
    assert_int_equal(shutdown(b->server, SHUT_WR), 0);
    while (!b->down.finished)
        assert_int_equal(down(b), RELAY_OK);
    expect_client_reads(b, "bye");
    int rc = SSL_read_ex(b->client, &byte, 1, &got);
    assert_int_equal(SSL_get_error(b->client, rc), SSL_ERROR_ZERO_RETURN);
    assert_int_equal(recv(b->outside, &byte, 1, 0), 0);
    client_writes(b, "later");
    assert_int_equal(up(b), RELAY_OK);
    expect_server_reads(b, "later");
}

static void test_an_end_without_close_notify_is_none(void **state)
{
    struct bench *b = *state;
    char byte;
    client_writes(b, "half of ");
    assert_int_equal(up(b), RELAY_OK);
    expect_server_reads(b, "half of ");
    assert_int_equal(shutdown(b->outside, SHUT_WR), 0);
    assert_int_equal(up(b), RELAY_SOURCE_BROKEN);
    assert_true(secure_is_cut(b->secure));
    assert_false(b->up.source_ended);
    assert_int_equal(recv(b->server, &byte, 1, MSG_DONTWAIT), -1);
}

static void test_a_broken_record(void **state)
{
    struct bench *b = *state;
    static const uint8_t RECORD[] = {23, 3,  3,  0,  20, 1,  2,  3,  4,  5,  6,  7, 8,
                                     9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
    uint8_t alert[64];
    assert_int_equal(send(b->outside, RECORD, sizeof(RECORD), 0), (ssize_t)sizeof(RECORD));
    assert_int_equal(up(b), RELAY_SOURCE_BROKEN);
    assert_true(b->secure->wire.alert_sent);
    assert_false(secure_is_cut(b->secure));
    assert_non_null(b->secure->wire.why);
    assert_true(recv(b->outside, alert, sizeof(alert), 0) > 0);
}

static void test_a_client_that_is_gone(void **state)
{
    struct bench *b = *state;
    SSL_set_quiet_shutdown(b->client, 1);
    close(b->outside);
    b->outside = -1;
    assert_int_equal(send(b->server, "anyone?", 7, 0), 7);
    assert_int_equal(down(b), RELAY_SINK_BROKEN);
    assert_true(b->secure->wire.by_socket);
    assert_false(secure_is_cut(b->secure));
}

static void test_a_server_that_is_gone(void **state)
{
    struct bench *b = *state;
    close(b->server);
    b->server = -1;
    client_writes(b, "anyone?");
    assert_int_equal(up(b), RELAY_SINK_BROKEN);
}

static void test_no_renegotiation(void **state)
{
    struct bench *b = *state;
    char byte;
    size_t got;
    assert_int_equal(SSL_version(b->client), TLS1_2_VERSION);
    assert_int_equal(SSL_renegotiate(b->client), 1);
    (void)SSL_do_handshake(b->client);
    enum relay_status status = up(b);
    (void)SSL_read_ex(b->client, &byte, 1, &got);
    /* The client may go on without it; a second handshake never came about. */
    assert_int_equal(SSL_total_renegotiations(b->client), 1);
    assert_int_equal(SSL_num_renegotiations(b->secure->wire.ssl), 0);
    assert_true(SSL_is_init_finished(b->secure->wire.ssl) || status == RELAY_SOURCE_BROKEN);
}

static void test_both_peers_update_keys(void **state)
{
    struct bench *b = *state;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(SSL_key_update(b->client, i % 2 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        client_writes(b, "fresh");
        assert_int_equal(up(b), RELAY_OK);
        expect_server_reads(b, "fresh");
        assert_int_equal(SSL_key_update(b->secure->wire.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(send(b->server, "too", 3, 0), 3);
        assert_int_equal(down(b), RELAY_OK);
        expect_client_reads(b, "too");
    }
}

/* The length of the next record on the client's socket, which is taken off. */
static size_t take_record(const struct bench *b)
{
    uint8_t head[5], body[20 * 1024];
    assert_int_equal(recv(b->outside, head, sizeof(head), 0), (ssize_t)sizeof(head));
    size_t len = (size_t)head[3] << 8 | head[4];
    assert_int_equal(recv(b->outside, body, len, 0), (ssize_t)len);
    return len;
}

static void test_the_first_records_are_small(void **state)
{
    struct bench *b = *state;
    char byte;
    size_t got;
    (void)SSL_read_ex(b->client, &byte, 1, &got); /* what the handshake left */
    static uint8_t data[16 * 1024];
    size_t total = 0;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(send(b->server, data, sizeof(data), 0), (ssize_t)sizeof(data));
        assert_int_equal(down(b), RELAY_OK);
        for (size_t sent = 0; sent < sizeof(data);) {
            size_t len = take_record(b);
            assert_true(total >= 32 * KIB ? len > 16 * KIB : len < 4 * KIB + 64);
            sent += len - 17; /* AES-GCM's tag and the inner type */
            total += len - 17;
        }
    }
    assert_int_equal(total, 4 * sizeof(data));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_few_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_record_cut_anywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_bytes_both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_server_that_does_not_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_client_that_does_not_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reading_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_updates_of_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close_notify_is_an_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close_notify_is_an_end, setup_tls12, teardown),
        cmocka_unit_test_setup_teardown(test_an_end_of_file_is_a_close_notify, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_end_without_close_notify_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_end_without_close_notify_is_none, setup_tls12, teardown),
        cmocka_unit_test_setup_teardown(test_a_broken_record, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_client_that_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_server_that_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_renegotiation, setup_tls12, teardown),
        cmocka_unit_test_setup_teardown(test_both_peers_update_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_first_records_are_small, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
