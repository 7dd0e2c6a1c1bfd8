#include "lib/io.h"

#include "lib/loop.h"
#include "lib/tls.h"
#include "tests/unit/cert_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The server's side runs in this thread's loop; the client is a thread that uses blocking calls. */
enum { BIG_BYTES = 6 * 1024 * 1024 };

struct server {
    struct loop *loop;
    struct io *io;
    SSL_CTX *ctx;
    char got[256 * 1024];
    size_t got_len;
    bool secure, drained, ended, clean, blocked;
    size_t pending_before;
    const char *why;
    void (*then)(struct server *server, const char *text); /* what on_data does after recording */
    pthread_t other;
    bool other_runs;
};

static struct cert_fixture cert;
static SSL_CTX *server_ctx, *client_ctx;

static void on_data(void *arg, const uint8_t *data, size_t len)
{
    struct server *s = arg;

    assert_true(s->got_len + len < sizeof s->got);
    memcpy(s->got + s->got_len, data, len);
    s->got_len += len;
    s->got[s->got_len] = '\0';
    if (s->then) s->then(s, s->got);
}

static void on_secure(void *arg)
{
    struct server *s = arg;
    s->secure = true;
}

static void on_drained(void *arg)
{
    struct server *s = arg;
    s->drained = true;
}

static void on_end(void *arg, bool clean, const char *why)
{
    struct server *s = arg;

    assert_false(s->ended);
    s->ended = true;
    s->clean = clean;
    s->why = why;
    struct loop *loop = s->loop;
    io_free(&s->io);
    loop_stop(loop);
}

static const struct io_events EVENTS = {on_data, on_secure, on_drained, on_end};

/* tcp_pair - two connected TCP sockets: resets and half-closes are those of the real thing. */
static void tcp_pair(int fds[2])
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sin;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&sin, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&sin, &len), 0);
    fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fds[1], (struct sockaddr *)&sin, len), 0);
    fds[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fds[0] >= 0);
    close(listener);
}

struct client {
    int fd;
    SSL *ssl;
    bool ok;
    void (*script)(struct client *c);
};

static void *run_client(void *arg)
{
    struct client *c = arg;

    c->ok = true;
    c->script(c);
    SSL_free(c->ssl);
    if (c->fd >= 0) close(c->fd);
    return NULL;
}

#define CLIENT_EXPECT(cond)                                                                                            \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            fprintf(stderr, "client: line %d: %s\n", __LINE__, #cond);                                                 \
            c->ok = false;                                                                                             \
        }                                                                                                              \
    } while (0)

static void client_tls(struct client *c)
{
    c->ssl = SSL_new(client_ctx);
    SSL_set_fd(c->ssl, c->fd);
    CLIENT_EXPECT(SSL_connect(c->ssl) == 1);
}

static void client_say(struct client *c, const char *text)
{
    int len = (int)strlen(text);
    CLIENT_EXPECT((c->ssl ? SSL_write(c->ssl, text, len) : (int)send(c->fd, text, (size_t)len, MSG_NOSIGNAL)) == len);
}

/* Two records that come at once, so that TLS has the second in its hands when the first is told. */
static void client_say_at_once(struct client *c, const char *first, const char *second)
{
    BIO *memory = BIO_new(BIO_s_mem());
    char *data = NULL;

    BIO_up_ref(SSL_get_rbio(c->ssl)); /* the socket's is both */
    SSL_set0_wbio(c->ssl, memory);
    client_say(c, first);
    client_say(c, second);
    long len = BIO_get_mem_data(memory, &data);
    CLIENT_EXPECT(send(c->fd, data, (size_t)len, 0) == len);
    SSL_set0_wbio(c->ssl, SSL_get_rbio(c->ssl));
}

static int client_recv(struct client *c, void *mem, int len)
{
    return c->ssl ? SSL_read(c->ssl, mem, len) : (int)recv(c->fd, mem, (size_t)len, 0);
}

static void client_hear(struct client *c, const char *text)
{
    char mem[256] = "";
    size_t len = strlen(text), got = 0;

    while (got < len) {
        int n = client_recv(c, mem + got, (int)(len - got));
        if (n <= 0) break;
        got += (size_t)n;
    }
    CLIENT_EXPECT(got == len && memcmp(mem, text, len) == 0);
}

/* client_hear_end - the peer ends in order: close_notify or FIN, not a reset. */
static void client_hear_end(struct client *c)
{
    char mem[16];
    int n = client_recv(c, mem, sizeof mem);

    CLIENT_EXPECT(n <= 0);
    if (c->ssl)
        CLIENT_EXPECT(SSL_get_error(c->ssl, n) == SSL_ERROR_ZERO_RETURN);
    else
        CLIENT_EXPECT(n == 0);
}

/* run - one conversation until on_end. */
static void run(struct server *s, void (*then)(struct server *, const char *), void (*script)(struct client *),
                bool direct_tls)
{
    int fds[2];
    pthread_t thread;
    struct client c = {.script = script};

    memset(s, 0, sizeof *s);
    tcp_pair(fds);
    s->loop = loop_new();
    s->ctx = server_ctx;
    s->then = then;
    s->io = io_new(s->loop, fds[0], &EVENTS, s);
    if (direct_tls) io_start_tls(s->io, server_ctx);
    c.fd = fds[1];
    assert_int_equal(pthread_create(&thread, NULL, run_client, &c), 0);
    loop_run(s->loop);
    pthread_join(thread, NULL);
    if (s->other_runs) pthread_join(s->other, NULL);
    io_free(&s->io);
    loop_free(&s->loop);
    assert_true(c.ok);
}

static struct server server;

static void echo(struct server *s, const char *text)
{
    io_write(s->io, text, strlen(text));
    s->got_len = 0;
}

static void script_echo(struct client *c)
{
    client_say(c, "hello");
    client_hear(c, "hello");
    client_say(c, "again");
    client_hear(c, "again");
    shutdown(c->fd, SHUT_WR);
    client_hear_end(c);
}

static void test_plain_echo(void **state)
{
    (void)state;
    run(&server, echo, script_echo, false);
    assert_true(server.ended && server.clean && server.drained);
    assert_string_equal(server.why, "eof");
}

static void starttls(struct server *s, const char *text)
{
    if (strcmp(text, "<starttls/>") == 0) {
        io_write(s->io, "<proceed/>", 10);
        io_start_tls(s->io, s->ctx);
        s->got_len = 0;
    } else if (io_ssl(s->io)) {
        echo(s, text);
    }
}

static void script_starttls(struct client *c)
{
    client_say(c, "<starttls/>");
    client_hear(c, "<proceed/>");
    client_tls(c);
    client_say(c, "secret");
    client_hear(c, "secret");
    SSL_shutdown(c->ssl);
}

static void test_starttls(void **state)
{
    (void)state;
    run(&server, starttls, script_starttls, false);
    assert_true(server.secure && server.clean);
}

static void script_injected(struct client *c)
{
    client_say(c, "<starttls/>");
    client_hear(c, "<proceed/>");
    /* More than the server reads as one record, so that some of it is unread when the handshake fails. */
    for (int i = 0; i < 2000; i++)
        client_say(c, "<auth>injected</auth>");
    client_hear_end(c);
}

/* A hello that offers nothing we speak, and many bytes behind it. */
static void script_no_common_cipher(struct client *c)
{
    static const char more[60000];
    unsigned char alert[7];
    char *hello;
    SSL *ssl = SSL_new(client_ctx);
    BIO *out = BIO_new(BIO_s_mem());

    SSL_set_max_proto_version(ssl, TLS1_2_VERSION);
    CLIENT_EXPECT(SSL_set_cipher_list(ssl, "AES128-SHA") == 1);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
    CLIENT_EXPECT(SSL_connect(ssl) <= 0);
    long len = BIO_get_mem_data(out, &hello);
    CLIENT_EXPECT(len > 0 && send(c->fd, hello, (size_t)len, MSG_NOSIGNAL) == len);
    CLIENT_EXPECT(send(c->fd, more, sizeof more, MSG_NOSIGNAL) == sizeof more);
    CLIENT_EXPECT(recv(c->fd, alert, sizeof alert, MSG_WAITALL) == sizeof alert);
    CLIENT_EXPECT(alert[0] == 21 && alert[5] == 2 && alert[6] == 40);
    client_hear_end(c);
    SSL_free(ssl);
}

static void test_alert_reaches_a_peer_that_still_sends(void **state)
{
    (void)state;
    run(&server, NULL, script_no_common_cipher, true);
    assert_true(!server.clean && !server.secure);
    assert_string_equal(server.why, "tls: no shared cipher");
}

static void script_says_http(struct client *c)
{
    client_say(c, "GET / HTTP/1.1\r\n\r\n");
    shutdown(c->fd, SHUT_WR);
}

static unsigned char made_up_alert;

/* A ClientHello, and then an alert with a number that no RFC gave out. */
static void script_alert(struct client *c)
{
    const unsigned char alert[] = {21, 3, 3, 0, 2, 2, made_up_alert};
    char hello[4096];
    SSL *ssl = SSL_new(client_ctx);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

    SSL_set_bio(ssl, in, out);
    CLIENT_EXPECT(SSL_connect(ssl) < 0);
    int len = BIO_read(out, hello, sizeof hello);
    CLIENT_EXPECT(len > 0 && send(c->fd, hello, (size_t)len, MSG_NOSIGNAL) == len);
    CLIENT_EXPECT(send(c->fd, alert, sizeof alert, MSG_NOSIGNAL) == (ssize_t)sizeof alert);
    SSL_free(ssl);
    while (recv(c->fd, hello, sizeof hello, 0) > 0)
        ;
}

static void test_made_up_alerts_do_not_hide_other_reasons(void **state)
{
    (void)state;
    for (unsigned alert = 254; alert > 120; alert--) {
        made_up_alert = (unsigned char)alert;
        run(&server, NULL, script_alert, true);
        assert_string_equal(server.why, "tls: unknown error");
    }
    run(&server, NULL, script_says_http, true);
    assert_string_equal(server.why, "tls: http request");
}

static void test_injected_plaintext_fails_the_handshake(void **state)
{
    (void)state;
    run(&server, starttls, script_injected, false);
    assert_true(server.ended && !server.clean && !server.secure);
    assert_int_equal(server.got_len, 0);
    assert_int_equal(strncmp(server.why, "tls: ", 5), 0);
}

static void write_big(struct server *s, const char *text)
{
    (void)text;
    unsigned char block[4096];

    for (size_t i = 0; i < BIG_BYTES; i += sizeof block) {
        for (size_t j = 0; j < sizeof block; j++)
            block[j] = (unsigned char)((i + j) / 4096 + j * 7);
        io_write(s->io, block, sizeof block);
    }
    s->pending_before = io_pending(s->io);
    io_shutdown(s->io, 20000);
}

static void hear_big(struct client *c)
{
    static unsigned char mem[BIG_BYTES];
    size_t got = 0;

    client_say(c, "more");
    while (got < BIG_BYTES) {
        int n = client_recv(c, mem + got, (int)(BIG_BYTES - got < 3000 ? BIG_BYTES - got : 3000));
        if (n <= 0) break;
        got += (size_t)n;
    }
    CLIENT_EXPECT(got == BIG_BYTES);
    size_t wrong = 0;
    for (size_t i = 0; i < got; i++)
        wrong += mem[i] != (unsigned char)(i / 4096 + i % 4096 * 7);
    CLIENT_EXPECT(wrong == 0);
    client_hear_end(c);
}

static void script_big_plain(struct client *c)
{
    hear_big(c);
}

static void script_big_tls(struct client *c)
{
    client_tls(c);
    hear_big(c);
    SSL_shutdown(c->ssl);
}

static void test_large_output(void **state)
{
    (void)state;
    run(&server, write_big, script_big_plain, false);
    assert_true(server.clean && server.drained);
    assert_int_equal(server.pending_before, BIG_BYTES);
    run(&server, write_big, script_big_tls, true);
    assert_true(server.clean && server.drained);
}

static void refuse(struct server *s, const char *text)
{
    (void)text;
    io_write(s->io, "<error/>", 8);
    io_shutdown(s->io, 5000);
}

static void script_refused(struct client *c)
{
    client_tls(c);
    for (int i = 0; i < 100; i++)
        client_say(c, "GET / HTTP/1.1\r\nHost: example\r\n\r\n");
    client_hear(c, "<error/>");
    client_hear_end(c);
    SSL_shutdown(c->ssl);
}

static void test_answer_survives_unread_input(void **state)
{
    (void)state;
    run(&server, refuse, script_refused, true);
    assert_true(server.ended && server.clean);
}

static void script_half_close(struct client *c)
{
    client_say(c, "request");
    shutdown(c->fd, SHUT_WR);
    client_hear(c, "<error/>");
    client_hear_end(c);
}

static void test_half_closed_peer_gets_the_answer(void **state)
{
    (void)state;
    run(&server, refuse, script_half_close, false);
    assert_true(server.clean);
}

static void script_reset(struct client *c)
{
    client_say(c, "x");
    client_hear(c, "x");
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    close(c->fd);
    c->fd = -1;
}

static void test_reset(void **state)
{
    (void)state;
    run(&server, echo, script_reset, false);
    assert_false(server.clean);
    assert_string_equal(server.why, "reset");
}

static void flood(struct server *s, const char *text)
{
    (void)text;
    static const char zeros[65536];
    for (int i = 0; i < 64; i++)
        io_write(s->io, zeros, sizeof zeros);
    s->got_len = 0;
}

static void flood_and_look(struct server *s, const char *text)
{
    if (*text == '1') {
        (void)setsockopt(io_fd(s->io), SOL_SOCKET, SO_SNDBUF, &(int){4096}, sizeof(int));
        flood(s, text);
        assert_false(io_blocked(s->io)); /* not tried yet */
    } else {
        s->blocked = io_blocked(s->io);
        assert_true(io_pending(s->io) > 0);
        struct loop *loop = s->loop;
        io_free(&s->io);
        loop_stop(loop);
    }
}

static void script_does_not_read(struct client *c)
{
    char byte;
    (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &(int){4096}, sizeof(int));
    client_say(c, "1");
    CLIENT_EXPECT(recv(c->fd, &byte, 1, 0) == 1);
    client_say(c, "2");
    char mem[4096];
    while (recv(c->fd, mem, sizeof mem, 0) > 0)
        ;
}

static void test_blocked_is_what_the_kernel_refused(void **state)
{
    (void)state;
    run(&server, flood_and_look, script_does_not_read, false);
    assert_true(server.blocked);
}

static void script_reset_amid(struct client *c)
{
    char byte;

    client_say(c, "x");
    CLIENT_EXPECT(recv(c->fd, &byte, 1, 0) == 1);
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    close(c->fd);
    c->fd = -1;
}

/* The queue cannot be written: no SIGPIPE (which would kill this test), but an end. */
static void test_write_after_reset(void **state)
{
    (void)state;
    void (*old)(int) = signal(SIGPIPE, SIG_DFL);
    run(&server, flood, script_reset_amid, false);
    assert_string_equal(server.why, "reset");
    signal(SIGPIPE, old);
}

static void script_truncated(struct client *c)
{
    client_tls(c);
    client_say(c, "x");
    client_hear(c, "x");
}

static void test_eof_without_close_notify_is_not_clean(void **state)
{
    (void)state;
    run(&server, echo, script_truncated, true);
    assert_false(server.clean);
    assert_string_equal(server.why, "tls: eof without close_notify");
}

static void refuse_shortly(struct server *s, const char *text)
{
    (void)text;
    io_shutdown(s->io, 20);
}

static void script_stays(struct client *c)
{
    client_say(c, "x");
    client_hear_end(c);
    char byte;
    /* Returns when the server has closed altogether. */
    while (send(c->fd, "y", 1, MSG_NOSIGNAL) == 1 && recv(c->fd, &byte, 1, MSG_DONTWAIT) == 0)
        ;
}

static void test_linger_is_bounded(void **state)
{
    (void)state;
    run(&server, refuse_shortly, script_stays, false);
    assert_false(server.clean);
    assert_string_equal(server.why, "timeout");
}

static void free_now(struct server *s, const char *text)
{
    (void)text;
    io_write(s->io, "lost", 4);
    io_free(&s->io);
    loop_stop(s->loop);
}

static void script_says(struct client *c)
{
    client_say(c, "x");
    char mem[8];
    (void)recv(c->fd, mem, sizeof mem, 0);
}

static void test_free_in_on_data(void **state)
{
    (void)state;
    run(&server, free_now, script_says, false);
    assert_false(server.ended);
}

static void *other_thread(void *arg)
{
    struct server *s = arg;

    s->loop = loop_new();
    io_attach(s->io, s->loop);
    loop_run(s->loop);
    struct loop *loop = s->loop;
    loop_free(&loop);
    return NULL;
}

static struct loop *first_loop;

static void move_away(struct server *s, const char *text)
{
    (void)text;
    first_loop = s->loop;
    io_write(s->io, "moved", 5);
    s->got_len = 0;
    s->then = echo;
    io_detach(s->io);
    s->other_runs = pthread_create(&s->other, NULL, other_thread, s) == 0;
    loop_stop(first_loop);
}

static void script_moved(struct client *c)
{
    client_tls(c);
    client_say(c, "go");
    client_hear(c, "moved");
    client_say(c, "one");
    client_hear(c, "one");
    SSL_shutdown(c->ssl);
    client_hear_end(c);
}

static void script_moved_between_records(struct client *c)
{
    client_tls(c);
    client_say_at_once(c, "go", "one");
    client_hear(c, "movedone");
    SSL_shutdown(c->ssl);
    client_hear_end(c);
}

static void move_to_another_thread(void (*script)(struct client *c))
{
    int fds[2];
    pthread_t thread;
    struct client c = {.script = script};

    memset(&server, 0, sizeof server);
    tcp_pair(fds);
    struct loop *loop = server.loop = loop_new();
    server.then = move_away;
    server.io = io_new(loop, fds[0], &EVENTS, &server);
    io_start_tls(server.io, server_ctx);
    c.fd = fds[1];
    assert_int_equal(pthread_create(&thread, NULL, run_client, &c), 0);
    loop_run(loop);
    pthread_join(thread, NULL);
    pthread_join(server.other, NULL);
    loop_free(&loop);
    server.loop = NULL;
    assert_true(c.ok && server.other_runs && server.ended && server.clean);
    assert_int_equal(strcmp(server.got, "one"), 0);
}

static void test_move_to_another_thread(void **state)
{
    (void)state;
    move_to_another_thread(script_moved);
    move_to_another_thread(script_moved_between_records);
}

struct resume_later {
    struct server *server;
    struct loop_deferred deferred;
    int turns;
};

static struct resume_later later;

static void count_turns(void *arg)
{
    struct resume_later *l = arg;

    if (l->turns++ < 100)
        loop_defer(l->server->loop, &l->deferred);
    else
        io_resume(l->server->io);
}

static void pause_for_a_while(struct server *s, const char *text)
{
    if (strcmp(text, "first") == 0) {
        io_pause(s->io);
        io_pause(s->io);
        later = (struct resume_later){.server = s, .deferred = {.fn = count_turns, .arg = &later}};
        loop_defer(s->loop, &later.deferred);
        io_write(s->io, "wait", 4);
    } else {
        assert_true(later.turns > 100);
        if (strcmp(text, "firstsecond") == 0) io_write(s->io, "done", 4);
    }
}

static void script_paused(struct client *c)
{
    client_tls(c);
    client_say(c, "first");
    client_hear(c, "wait");
    client_say(c, "second");
    client_hear(c, "done");
    SSL_shutdown(c->ssl);
}

static void script_paused_between_records(struct client *c)
{
    client_tls(c);
    client_say_at_once(c, "first", "second");
    client_hear(c, "waitdone");
    SSL_shutdown(c->ssl);
}

static void test_pause(void **state)
{
    (void)state;
    run(&server, pause_for_a_while, script_paused, true);
    assert_true(server.clean);
    run(&server, pause_for_a_while, script_paused_between_records, true);
    assert_true(server.clean);
}

/* What OpenSSL has of blocks as large as a record: its buffers. */
static atomic_int record_blocks;

static void *count_alloc(size_t len, const char *file, int line)
{
    size_t *block = malloc(len + sizeof(max_align_t));

    (void)file, (void)line;
    if (!block) return NULL;
    *block = len;
    if (len >= SSL3_RT_MAX_PLAIN_LENGTH) atomic_fetch_add(&record_blocks, 1);
    return (char *)block + sizeof(max_align_t);
}

static void count_free(void *mem, const char *file, int line)
{
    (void)file, (void)line;
    if (!mem) return;
    size_t *block = (size_t *)(void *)((char *)mem - sizeof(max_align_t));
    if (*block >= SSL3_RT_MAX_PLAIN_LENGTH) atomic_fetch_sub(&record_blocks, 1);
    free(block);
}

static void *count_realloc(void *mem, size_t len, const char *file, int line)
{
    void *grown = count_alloc(len, file, line);
    if (mem && grown) {
        size_t had = *(size_t *)(void *)((char *)mem - sizeof(max_align_t));
        memcpy(grown, mem, had < len ? had : len);
    }
    count_free(mem, file, line);
    return grown;
}

static void script_falls_silent(struct client *c)
{
    client_tls(c);
    /* Its own are given back with each record. */
    SSL_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS);
    client_say(c, "one");
    client_hear(c, "one");
    for (int i = 0; i < 1000 && atomic_load(&record_blocks) == 0; i++) {
        client_say(c, "one");
        client_hear(c, "one");
    }
    CLIENT_EXPECT(atomic_load(&record_blocks) > 0);
    for (int i = 0; i < 2000 && atomic_load(&record_blocks) > 0; i++)
        usleep(10000);
    CLIENT_EXPECT(atomic_load(&record_blocks) == 0);
    client_say(c, "two");
    client_hear(c, "two");
    SSL_shutdown(c->ssl);
}

static void echo_last(struct server *s, const char *text)
{
    io_write(s->io, text + strlen(text) - 3, 3);
}

static void test_silence_gives_buffers_back(void **state)
{
    (void)state;
    run(&server, echo_last, script_falls_silent, true);
    assert_true(server.clean);
}

/* A record whose header comes long before its body: TLS's buffers are in use in between, though there is nothing in
 * them to be read. */
static void script_says_half(struct client *c)
{
    BIO *memory = BIO_new(BIO_s_mem());
    char *data = NULL;

    client_tls(c);
    client_say(c, "one");
    client_hear(c, "one");
    BIO_up_ref(SSL_get_rbio(c->ssl));
    SSL_set0_wbio(c->ssl, memory);
    client_say(c, "two");
    long len = BIO_get_mem_data(memory, &data);
    CLIENT_EXPECT(len > SSL3_RT_HEADER_LENGTH && send(c->fd, data, SSL3_RT_HEADER_LENGTH, 0) == SSL3_RT_HEADER_LENGTH);
    usleep(1500000); /* no condition can be seen from here: the buffers stay */
    len -= SSL3_RT_HEADER_LENGTH;
    CLIENT_EXPECT(send(c->fd, data + SSL3_RT_HEADER_LENGTH, (size_t)len, 0) == len);
    SSL_set0_wbio(c->ssl, SSL_get_rbio(c->ssl));
    client_hear(c, "two");
    SSL_shutdown(c->ssl);
}

static void test_silence_within_a_record(void **state)
{
    (void)state;
    run(&server, echo_last, script_says_half, true);
    assert_true(server.clean);
}

/* Updates of keys cost much more than the bytes of data between them. */
static void script_updates_keys(struct client *c)
{
    client_tls(c);
    for (int i = 0; i < 5000; i++) {
        if (SSL_key_update(c->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1) break;
        if (SSL_do_handshake(c->ssl) != 1 || (i % 500 == 499 && SSL_write(c->ssl, " ", 1) != 1)) break;
    }
    char mem[16];
    while (SSL_read(c->ssl, mem, sizeof mem) > 0)
        continue;
}

static void test_updates_of_keys_are_bounded(void **state)
{
    (void)state;
    run(&server, NULL, script_updates_keys, true);
    assert_false(server.clean);
    assert_string_equal(server.why, "tls: too many records without data");
}

/* What one turn may read is counted before it is decrypted: here the shortest records are waiting. */
enum { SHORT_RECORDS = 12000 };

static struct loop_deferred turn_end;
static size_t calls, calls_of_turn;

static void on_short_turn_end(void *arg)
{
    (void)arg;
    calls_of_turn = calls;
}

static void count_calls(struct server *s, const char *text)
{
    (void)text;
    s->got_len = 0;
    if (calls++ > 0) return;
    turn_end = (struct loop_deferred){.fn = on_short_turn_end};
    loop_defer(s->loop, &turn_end);
}

static void *say_short(void *arg)
{
    struct client *c = arg;
    BIO *memory = BIO_new(BIO_s_mem());
    char *data = NULL;

    c->ok = true;
    client_tls(c);
    SSL_set0_wbio(c->ssl, memory);
    for (int i = 0; i < SHORT_RECORDS; i++)
        client_say(c, "x");
    long len = BIO_get_mem_data(memory, &data);
    CLIENT_EXPECT(send(c->fd, data, (size_t)len, MSG_NOSIGNAL) == len);
    return NULL;
}

static void on_secure_stop(void *arg)
{
    struct server *s = arg;
    io_pause(s->io);
    loop_stop(s->loop);
}

static void test_a_turn_is_bounded_before_decryption(void **state)
{
    static const struct io_events events = {on_data, on_secure_stop, NULL, on_end};
    struct client c = {0};
    pthread_t thread;
    int fds[2], room = 4 * 1024 * 1024;

    (void)state;
    memset(&server, 0, sizeof server);
    /* No TCP: the kernel's buffers would have to be grown first. */
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    (void)setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    calls = calls_of_turn = 0;
    server.loop = loop_new();
    server.then = count_calls;
    server.io = io_new(server.loop, fds[0], &events, &server);
    io_start_tls(server.io, server_ctx);
    c.fd = fds[1];
    assert_int_equal(pthread_create(&thread, NULL, say_short, &c), 0);
    loop_run(server.loop);
    pthread_join(thread, NULL);
    io_resume(server.io);
    SSL_free(c.ssl);
    close(c.fd);
    loop_run(server.loop);
    loop_free(&server.loop);
    assert_true(c.ok && server.ended);
    assert_int_equal(calls, SHORT_RECORDS);
    assert_in_range(calls_of_turn, 1, SHORT_RECORDS * 2 / 3);
}

static int set_up(void **state)
{
    char why[256];

    (void)state;
    cert_fixture_make(&cert, "EC", EVP_sha256(), "example.test");
    server_ctx = tls_server_ctx(cert.cert, cert.key, TLS_INTERMEDIATE, why, sizeof why);
    client_ctx = SSL_CTX_new(TLS_client_method());
    return server_ctx && client_ctx ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    SSL_CTX_free(server_ctx);
    SSL_CTX_free(client_ctx);
    cert_fixture_drop(&cert);
    return 0;
}

int main(void)
{
    if (CRYPTO_set_mem_functions(count_alloc, count_realloc, count_free) != 1) return 1;
    signal(SIGPIPE, SIG_IGN); /* for the client's half: OpenSSL's own socket BIO raises it */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_echo),
        cmocka_unit_test(test_starttls),
        cmocka_unit_test(test_injected_plaintext_fails_the_handshake),
        cmocka_unit_test(test_alert_reaches_a_peer_that_still_sends),
        cmocka_unit_test(test_made_up_alerts_do_not_hide_other_reasons),
        cmocka_unit_test(test_large_output),
        cmocka_unit_test(test_answer_survives_unread_input),
        cmocka_unit_test(test_half_closed_peer_gets_the_answer),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_write_after_reset),
        cmocka_unit_test(test_blocked_is_what_the_kernel_refused),
        cmocka_unit_test(test_eof_without_close_notify_is_not_clean),
        cmocka_unit_test(test_linger_is_bounded),
        cmocka_unit_test(test_free_in_on_data),
        cmocka_unit_test(test_move_to_another_thread),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_silence_gives_buffers_back),
        cmocka_unit_test(test_silence_within_a_record),
        cmocka_unit_test(test_updates_of_keys_are_bounded),
        cmocka_unit_test(test_a_turn_is_bounded_before_decryption),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
