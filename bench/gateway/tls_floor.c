/* bench-tls-floor - a server that does nothing but hold TLS sessions: what a session takes that is OpenSSL's alone.
 *
 *     bench-tls-floor --port PORT --certificate FILE --key FILE
 *
 * It is set up as the servers that are measured: one cipher, X25519, no tickets, no session cache, and buffers that
 * OpenSSL frees when they are empty.  It speaks with bench-tls-client; of a connection it keeps the SSL alone. */
#include "bench/gateway/request.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, BACKLOG = 4096, TRIM_AFTER_MS = 500 };

static int listener, epoll_fd;
static SSL_CTX *context;

static void make_context(const char *certificate, const char *key)
{
    context = SSL_CTX_new(TLS_server_method());
    if (context == NULL || SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        fail("%s or %s cannot be used", certificate, key);
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set1_groups_list(context, "X25519");
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
}

static void listen_on(unsigned long port)
{
    const int on = 1;
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(listener, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, BACKLOG) < 0)
        fail("port %lu: %s", port, strerror(errno));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
}

static void on_listener(void)
{
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        SSL *ssl = SSL_new(context);
        if (ssl == NULL || SSL_set_fd(ssl, fd) != 1) fail("SSL_new");
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = ssl};
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
    }
}

/* A request comes in one record, so it is read whole or not at all. */
static void on_readable(SSL *ssl)
{
    uint8_t request[REQUEST_BYTES];
    int n = SSL_is_init_finished(ssl) ? 1 : SSL_accept(ssl);
    if (n == 1) n = SSL_read(ssl, request, sizeof(request));
    if (n == sizeof(request)) {
        struct reply reply;
        reply_make(&reply, 0, request, sizeof(request));
        if (SSL_write(ssl, &reply, sizeof(reply)) != sizeof(reply)) fail("a reply could not be written");
        n = SSL_read(ssl, request, sizeof(request)); /* sees that all is read, and frees the buffer */
    }
    if (SSL_get_error(ssl, n) == SSL_ERROR_WANT_READ) return;
    int fd = SSL_get_fd(ssl);
    SSL_free(ssl);
    close(fd);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"port", required_argument, NULL, 'p'},
                                            {"certificate", required_argument, NULL, 'c'},
                                            {"key", required_argument, NULL, 'k'},
                                            {NULL, 0, NULL, 0}};
    const char *certificate = NULL, *key = NULL;
    unsigned long port = 0;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'p') port = number_parse(optarg);
        if (c == 'c') certificate = optarg;
        if (c == 'k') key = optarg;
        if (c == '?') return 2;
    }
    if (port == 0 || certificate == NULL || key == NULL) fail("--port --certificate --key are needed");
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    make_context(certificate, key);
    listen_on(port);
    puts("ready");
    fflush(stdout);
    for (struct epoll_event events[EVENTS];;) {
        int got = epoll_wait(epoll_fd, events, EVENTS, TRIM_AFTER_MS);
        if (got == 0) malloc_trim(0); /* what handshakes needed and no session has */
        for (int i = 0; i < got; i++) {
            if (events[i].data.ptr == NULL)
                on_listener();
            else
                on_readable(events[i].data.ptr);
        }
    }
}
