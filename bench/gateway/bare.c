/* bench-bare - the least that a proxy can do: how near to it is each of the contenders?
 *
 *     bench-bare LISTEN-PORT FIRST-PORT
 *
 * One thread, one epoll set, no configuration, no log, no limits, no deadlines, no care for errors: it searches the
 * first bytes for ten ALPN names and connects to the port of the first that it finds.  What it costs is what the
 * kernel asks for a proxied connection. */
#include "bench/gateway/request.h"

#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096, EVENTS = 256, CLIENT = 0, SERVER = 1 };

static const char *const NAMES[] = {"xmpp-client", "xmpp-server", "acme-tls/1", "imap",       "pop3",
                                    "managesieve", "irc",         "mqtt",       "postgresql", "h2"};

struct pair {
    int fds[2]; /* the client's is -1 once it has ended: it is freed behind the turn */
    struct pair *next_ended;
};

static uint8_t buffer[REQUEST_MAX_BYTES];
static uint16_t first_port;
static int epoll_fd;
static struct pair *ended;

static struct sockaddr_in port_of(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
}

static void watch(struct pair *pair, int side)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = (char *)pair + side};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, pair->fds[side], &event);
}

static void end(struct pair *pair)
{
    if (pair->fds[SERVER] >= 0) close(pair->fds[SERVER]);
    close(pair->fds[CLIENT]);
    pair->fds[CLIENT] = -1;
    pair->next_ended = ended;
    ended = pair;
}

static void free_ended(void)
{
    while (ended != NULL) {
        struct pair *next = ended->next_ended;
        free(ended);
        ended = next;
    }
}

static void begin(struct pair *pair, size_t len)
{
    const int on = 1;
    uint16_t rule = 0;
    while (rule < sizeof(NAMES) / sizeof(NAMES[0]) && memmem(buffer, len, NAMES[rule], strlen(NAMES[rule])) == NULL)
        rule++;
    const struct sockaddr_in to = port_of((uint16_t)(first_port + rule));
    int fd = pair->fds[SERVER] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    /* Over loopback the handshake is over when this returns. */
    (void)connect(fd, (const struct sockaddr *)&to, sizeof(to));
    if (send(fd, buffer, len, MSG_NOSIGNAL) != (ssize_t)len) fail("the server behind is not there");
    watch(pair, SERVER);
}

/* A pair ends with its server's end, which follows the client's. */
static void on_event(struct pair *pair, int side)
{
    if (pair->fds[CLIENT] < 0) return;
    ssize_t n = recv(pair->fds[side], buffer, sizeof(buffer), MSG_DONTWAIT);
    if (n > 0 && side == CLIENT && pair->fds[SERVER] < 0) {
        begin(pair, (size_t)n);
    } else if (n > 0) {
        (void)send(pair->fds[!side], buffer, (size_t)n, MSG_NOSIGNAL);
    } else if (side == SERVER || pair->fds[SERVER] < 0) {
        end(pair);
    } else {
        shutdown(pair->fds[SERVER], SHUT_WR);
        epoll_ctl(epoll_fd, EPOLL_CTL_DEL, pair->fds[CLIENT], NULL);
    }
}

static void take_all(int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct pair *pair = malloc(sizeof(*pair));
        if (pair == NULL) fail("out of memory");
        *pair = (struct pair){.fds = {fd, -1}};
        watch(pair, CLIENT);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) fail("LISTEN-PORT and FIRST-PORT are needed");
    const struct sockaddr_in at = port_of((uint16_t)number_parse(argv[1]));
    first_port = (uint16_t)number_parse(argv[2]);
    const int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (bind(listener, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(listener, BACKLOG) < 0)
        fail("cannot listen on port %s", argv[1]);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[EVENTS], event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            uintptr_t key = (uintptr_t)events[i].data.ptr;
            if (key == 0)
                take_all(listener);
            else
                on_event((struct pair *)(key & ~(uintptr_t)1), (int)(key & 1));
        }
        free_ended();
    }
}
