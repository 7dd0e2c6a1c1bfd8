/* bench-tls-client - TLS clients of a server that terminates TLS.
 *
 *     bench-tls-client full|resumed|idle --to ADDRESS --count N --concurrency N [--warm-up N] [--tls 1.2|1.3]
 *                      [--cipher NAME] [--sni NAME]
 *
 * full: each connection makes a handshake of its own, sends a request, checks the reply, and closes.  resumed: the
 * same with sessions that the warm-up got; a handshake that was not resumed is an error.  idle: opens all, then holds
 * them until a line is read.  Certificates are not verified: the client's work is not what is measured. */
#include "bench/gateway/request.h"

#include <errno.h>
#include <getopt.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256 };

struct slot {
    int fd;
    SSL *ssl;
    SSL_SESSION *session; /* of the slot's last connection, when sessions are resumed */
    bool sent;
    size_t got;
    uint8_t reply[sizeof(struct reply)];
};

static struct sockaddr_in target;
static unsigned long count, concurrency = 1, warm_up;
static int version = TLS1_3_VERSION;
static const char *cipher, *sni = "example.test";
static uint8_t request[REQUEST_BYTES] = {REQUEST_FIRST};

static int epoll_fd;
static SSL_CTX *context;
static struct slot *slots;
static unsigned long begun, done, wrong, broken, resumed_count;
static bool resume, keep;

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct slot *slot = SSL_get_app_data(ssl);
    if (!resume) return 0;
    SSL_SESSION_free(slot->session);
    slot->session = session;
    return 1;
}

static void make_context(void)
{
    context = SSL_CTX_new(TLS_client_method());
    if (context == NULL) fail("SSL_CTX_new");
    SSL_CTX_set_min_proto_version(context, version);
    SSL_CTX_set_max_proto_version(context, version);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, on_session);
    SSL_CTX_set1_groups_list(context, "X25519");
    if (cipher != NULL && version == TLS1_3_VERSION ? SSL_CTX_set_ciphersuites(context, cipher) != 1
                                                    : cipher != NULL && SSL_CTX_set_cipher_list(context, cipher) != 1)
        fail("cipher %s", cipher);
}

static void begin(struct slot *slot)
{
    begun++;
    slot->sent = false;
    slot->got = 0;
    slot->fd = client_socket();
    if (connect(slot->fd, (struct sockaddr *)&target, sizeof(target)) < 0 && errno != EINPROGRESS)
        fail("connect: %s", strerror(errno));
    slot->ssl = SSL_new(context);
    SSL_set_fd(slot->ssl, slot->fd);
    SSL_set_app_data(slot->ssl, slot);
    SSL_set_tlsext_host_name(slot->ssl, sni);
    if (slot->session != NULL) SSL_set_session(slot->ssl, slot->session);
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = slot};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, slot->fd, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
}

static void finish(struct slot *slot)
{
    /* A session that is freed without a close would be forgotten as broken. */
    SSL_set_shutdown(slot->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(slot->ssl);
    close(slot->fd);
    slot->fd = -1;
    slot->ssl = NULL;
}

/* Whether to wait for what the result says; else the connection is broken. */
static bool waits(struct slot *slot, int result)
{
    int error = SSL_get_error(slot->ssl, result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) return false;
    struct epoll_event event = {.events = error == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT, .data.ptr = slot};
    return epoll_ctl(epoll_fd, EPOLL_CTL_MOD, slot->fd, &event) == 0;
}

static void on_reply(struct slot *slot)
{
    if (!reply_is((const struct reply *)slot->reply, 0, request, sizeof(request))) wrong++;
    if (SSL_session_reused(slot->ssl)) resumed_count++;
    done++;
    if (!keep) finish(slot);
}

static void on_event(struct slot *slot)
{
    int n = 1;
    ERR_clear_error();
    if (!SSL_is_init_finished(slot->ssl)) n = SSL_connect(slot->ssl);
    if (n == 1 && !slot->sent) {
        n = SSL_write(slot->ssl, request, sizeof(request));
        slot->sent = n > 0;
    }
    while (n > 0 && slot->got < sizeof(slot->reply)) {
        n = SSL_read(slot->ssl, slot->reply + slot->got, (int)(sizeof(slot->reply) - slot->got));
        if (n > 0) slot->got += (size_t)n;
    }
    if (slot->got == sizeof(slot->reply))
        on_reply(slot);
    else if (!waits(slot, n)) {
        if (broken++ == 0)
            fprintf(stderr, "generator: the first connection that broke: %s: %s\n",
                    ERR_reason_error_string(ERR_peek_error()), strerror(errno));
        finish(slot);
    }
}

static void run(unsigned long n, size_t slot_count)
{
    struct epoll_event events[EVENTS];
    begun = done = 0;
    unsigned long broken_before = broken;
    while (done + broken - broken_before < n) {
        unsigned long ended = done + broken - broken_before;
        for (size_t i = 0; i < slot_count && begun < n && begun - ended < concurrency; i++)
            if (slots[i].fd < 0) begin(&slots[i]);
        int got = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < got; i++)
            on_event(events[i].data.ptr);
    }
}

static void read_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"to", required_argument, NULL, 't'},      {"count", required_argument, NULL, 'n'},
        {"warm-up", required_argument, NULL, 'w'}, {"concurrency", required_argument, NULL, 'c'},
        {"tls", required_argument, NULL, 'v'},     {"cipher", required_argument, NULL, 'C'},
        {"sni", required_argument, NULL, 's'},     {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 't') address_parse(&target, optarg);
        if (c == 'n') count = number_parse(optarg);
        if (c == 'c') concurrency = number_parse(optarg);
        if (c == 'w') warm_up = number_parse(optarg);
        if (c == 'v') version = strcmp(optarg, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
        if (c == 'C') cipher = optarg;
        if (c == 's') sni = optarg;
        if (c == '?') exit(2);
    }
    if (optind + 1 != argc || target.sin_port == 0 || count == 0) fail("MODE --to --count are needed");
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    const char *mode = argv[optind];
    bool idle = strcmp(mode, "idle") == 0;
    resume = strcmp(mode, "resumed") == 0;
    size_t slot_count = idle ? count : concurrency;
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    make_context();
    slots = calloc(slot_count, sizeof(*slots));
    if (slots == NULL) fail("out of memory");
    for (size_t i = 0; i < slot_count; i++)
        slots[i].fd = -1;
    if (warm_up > 0) run(warm_up, slot_count);
    if (wrong + broken > 0) fail("the warm-up had %lu wrong replies and %lu broken connections", wrong, broken);
    wait_for_line("ready");
    resumed_count = 0;
    keep = idle;
    int64_t start_ns = now_ns(), start_cpu_ns = cpu_ns();
    run(count, slot_count);
    int64_t wall_ns = now_ns() - start_ns, used_ns = cpu_ns() - start_cpu_ns;
    if (idle) wait_for_line("open");
    if (resume && resumed_count != done) wrong += done - resumed_count;
    printf("{\"done\": %lu, \"wrong\": %lu, \"broken\": %lu, \"resumed\": %lu, \"wall_ns\": %lld, \"cpu_ns\": %lld}\n",
           done, wrong, broken, resumed_count, (long long)wall_ns, (long long)used_ns);
    return 0;
}
