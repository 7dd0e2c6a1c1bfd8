/* bench-backend - the servers behind the gateway under test, all in one process.
 *
 *     bench-backend --first-port PORT --ports N [--inlet PREFIX] [--bulk BYTES]
 *
 * Listens on N ports of 127.0.0.1 from PORT on, and with --inlet on N Unix sockets PREFIX.0, PREFIX.1, ..., over which
 * a Postern gateway hands sockets.  Answers each request (generator.h) and closes when the client has; with --bulk the
 * last port sends so many bytes behind the reply.  Prints "ready" when it listens. */
#include "bench/gateway/request.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096, EVENTS = 256, HEADER_BYTES = 4096, PIECE_BYTES = BULK_PERIOD_BYTES, ACCEPT_BATCH = 64 };

enum source_kind { SOURCE_LISTENER, SOURCE_INLET_LISTENER, SOURCE_INLET, SOURCE_CLIENT };

/* What an event is about. */
struct source {
    enum source_kind kind;
    int fd;
    uint32_t port;
    bool answered, shared; /* shared: the gateway may still hold the socket */
    size_t got;            /* of a request that came in pieces */
    uint8_t *pieces;       /* NULL: none */
    uint64_t to_send;      /* of bulk */
    uint64_t sent;
};

static int epoll_fd;
static uint64_t bulk_bytes;
static int bulk_file = -1;
static uint32_t port_count;

static void watch(struct source *source, uint32_t events, int operation)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    if (epoll_ctl(epoll_fd, operation, source->fd, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
}

static struct source *source_new(enum source_kind kind, int fd, uint32_t port)
{
    struct source *source = calloc(1, sizeof(*source));
    if (source == NULL) fail("out of memory");
    source->kind = kind;
    source->fd = fd;
    source->port = port;
    watch(source, EPOLLIN, EPOLL_CTL_ADD);
    return source;
}

static void source_close(struct source *source)
{
    /* Closing does not take a socket out of the set as long as another process holds it. */
    if (source->shared && epoll_ctl(epoll_fd, EPOLL_CTL_DEL, source->fd, NULL) < 0)
        fail("epoll_ctl: %s", strerror(errno));
    close(source->fd);
    free(source->pieces);
    free(source);
}

static void send_bulk(struct source *source)
{
    while (source->sent < source->to_send) {
        off_t offset = (off_t)(source->sent % BULK_PERIOD_BYTES);
        uint64_t left = source->to_send - source->sent;
        ssize_t n = sendfile(source->fd, bulk_file, &offset, left < PIECE_BYTES ? (size_t)left : PIECE_BYTES);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) {
            source_close(source);
            return;
        }
        source->sent += (uint64_t)n;
    }
    shutdown(source->fd, SHUT_WR);
    watch(source, EPOLLIN, EPOLL_CTL_MOD);
}

static void answer(struct source *source, const uint8_t *request, size_t len)
{
    struct reply reply;
    reply_make(&reply, source->port, request, len);
    source->answered = true;
    if (send(source->fd, &reply, sizeof(reply), MSG_NOSIGNAL) != sizeof(reply)) {
        source_close(source);
        return;
    }
    if (bulk_bytes == 0 || source->port != port_count - 1) return;
    source->to_send = bulk_bytes;
    watch(source, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
}

static void on_bytes(struct source *source, const uint8_t *data, size_t len)
{
    if (source->answered) fail("bytes behind the request");
    size_t whole = source->got == 0 ? request_len(data, len) : 0;
    if (whole > 0) {
        if (whole != len) fail("%zu bytes behind a request of %zu", len - whole, whole);
        answer(source, data, len);
        return;
    }
    if (source->pieces == NULL) source->pieces = malloc(2 * REQUEST_MAX_BYTES);
    if (source->pieces == NULL || source->got + len > 2 * REQUEST_MAX_BYTES) fail("a request too large");
    memcpy(source->pieces + source->got, data, len);
    source->got += len;
    whole = request_len(source->pieces, source->got);
    if (whole > 0) answer(source, source->pieces, whole);
}

static void on_client(struct source *source, uint32_t events)
{
    uint8_t data[REQUEST_MAX_BYTES];
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        ssize_t n = recv(source->fd, data, sizeof(data), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            source_close(source);
            return;
        }
        if (n > 0) {
            on_bytes(source, data, (size_t)n);
            return;
        }
    }
    if (events & EPOLLOUT) send_bulk(source);
}

static void on_listener(struct source *source)
{
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        int fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && errno == EAGAIN) return;
        if (fd < 0) fail("accept: %s", strerror(errno));
        source_new(source->kind == SOURCE_LISTENER ? SOURCE_CLIENT : SOURCE_INLET, fd, source->port);
    }
}

static void on_inlet(struct source *source)
{
    char header[HEADER_BYTES];
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = header, .iov_len = sizeof(header)};
    for (;;) {
        struct msghdr msg = {
            .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(source->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) {
            source_close(source);
            return;
        }
        struct cmsghdr *first = CMSG_FIRSTHDR(&msg);
        if (first == NULL || first->cmsg_type != SCM_RIGHTS) fail("a message without a socket");
        int fd;
        memcpy(&fd, CMSG_DATA(first), sizeof(fd));
        source_new(SOURCE_CLIENT, fd, source->port)->shared = true;
    }
}

static void listen_on_port(uint16_t first, uint32_t index)
{
    const struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)(first + index))};
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, BACKLOG) < 0)
        fail("port %u: %s", first + index, strerror(errno));
    source_new(SOURCE_LISTENER, fd, index);
}

static void listen_on_inlet(const char *prefix, uint32_t index)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof(at.sun_path), "%s.%u", prefix, index);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    unlink(at.sun_path);
    if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, BACKLOG) < 0)
        fail("%s: %s", at.sun_path, strerror(errno));
    source_new(SOURCE_INLET_LISTENER, fd, index);
}

static void make_bulk_file(void)
{
    bulk_file = memfd_create("bulk", MFD_CLOEXEC);
    if (bulk_file < 0 || write(bulk_file, bulk_pattern(), 2 * BULK_PERIOD_BYTES) != 2 * BULK_PERIOD_BYTES)
        fail("memfd: %s", strerror(errno));
}

static void serve(void)
{
    struct epoll_event events[EVENTS];
    for (;;) {
        int n = epoll_wait(epoll_fd, events, EVENTS, -1);
        if (n < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
        for (int i = 0; i < n; i++) {
            struct source *source = events[i].data.ptr;
            if (source->kind == SOURCE_CLIENT)
                on_client(source, events[i].events);
            else if (source->kind == SOURCE_INLET)
                on_inlet(source);
            else
                on_listener(source);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"first-port", required_argument, NULL, 'f'},
                                            {"ports", required_argument, NULL, 'n'},
                                            {"inlet", required_argument, NULL, 'i'},
                                            {"bulk", required_argument, NULL, 'b'},
                                            {NULL, 0, NULL, 0}};
    unsigned long first = 0;
    const char *inlet = NULL;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'f') first = number_parse(optarg);
        if (c == 'n') port_count = (uint32_t)number_parse(optarg);
        if (c == 'i') inlet = optarg;
        if (c == 'b') bulk_bytes = number_parse(optarg);
        if (c == '?') return 2;
    }
    if (first == 0 || port_count == 0) fail("--first-port and --ports are needed");
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    make_bulk_file();
    for (uint32_t i = 0; i < port_count; i++) {
        listen_on_port((uint16_t)first, i);
        if (inlet != NULL) listen_on_inlet(inlet, i);
    }
    puts("ready");
    fflush(stdout);
    serve();
}
