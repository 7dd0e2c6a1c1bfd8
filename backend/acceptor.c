#include "backend/acceptor.h"

#include "backend/admission.h"
#include "backend/shard.h"
#include "lib/option.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPTOR_MAGIC = 0x61636365, ACCEPTS_PER_TURN = 64, RETRY_MS = 200 };

struct acceptor {
    unsigned magic;
    struct acceptors *all;
    struct acceptor *next;
    int fd;
    bool direct_tls;
    struct event *event;
    struct deadline retry;
};

struct acceptors {
    struct backend *backend;
    struct acceptor *first;
    struct deadline_queue *retry;
};

/* A descriptor, or -1 with errno. */
static int listen_on(const struct endpoint *endpoint, int backlog)
{
    const int fd = socket(endpoint->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    const int on = 1;
    const bool ipv6 = endpoint->sa.sa_family == AF_INET6;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        (!ipv6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == 0) &&
        bind(fd, &endpoint->sa, endpoint->len) == 0 && listen(fd, backlog) == 0)
        return fd;
    const int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int open_section(struct acceptors *acceptors, const struct option_section *s, char *why, size_t cap)
{
    for (size_t i = 0; i < option_count(s, "address"); i++) {
        const struct endpoint *endpoint = option_endpoint(s, "address", i);
        const int fd = listen_on(endpoint, (int)option_int(s, "backlog"));
        if (fd < 0) {
            char text[ENDPOINT_TEXT_BYTES];
            snprintf(why, cap, "cannot listen on %s: %s", endpoint_format(endpoint, text, sizeof(text)),
                     strerror(errno));
            return -1;
        }
        struct acceptor *acceptor = MEM_NEW(struct acceptor);
        acceptor->magic = ACCEPTOR_MAGIC;
        acceptor->all = acceptors;
        acceptor->fd = fd;
        acceptor->direct_tls = option_enum(s, "tls") == 1;
        acceptor->next = acceptors->first;
        acceptors->first = acceptor;
    }
    return 0;
}

struct acceptors *acceptors_open(const struct option_file *file, char *why, size_t cap)
{
    struct acceptors *acceptors = MEM_NEW(struct acceptors);
    const struct option_section *s = NULL;
    while ((s = option_next(file, "listener", s)) != NULL) {
        if (open_section(acceptors, s, why, cap) == 0) continue;
        acceptors_free(&acceptors);
        return NULL;
    }
    return acceptors;
}

/* Connections wait in the kernel until there are descriptors again. */
static void rest(struct acceptor *acceptor)
{
    event_del(acceptor->event);
    deadline_arm(acceptor->all->retry, &acceptor->retry);
}

static void on_retry(struct deadline *deadline, void *arg)
{
    (void)arg;
    struct acceptor *acceptor = CONTAINER_OF(deadline, struct acceptor, retry);
    CHECK_MAGIC(acceptor, ACCEPTOR_MAGIC);
    event_add(acceptor->event, NULL);
}

/* false: nothing more to accept now. */
static bool accept_one(struct acceptor *acceptor)
{
    struct backend *backend = acceptor->all->backend;
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);
    if (!admission_has_room(backend)) {
        rest(acceptor);
        return false;
    }
    const int fd = accept4(acceptor->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
        if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) return true;
        counter_add(backend->counters, COUNTER_ACCEPT_FAULTS, 1);
        rest(acceptor);
        return false;
    }
    struct stream_origin origin = {.fd = fd, .direct_tls = acceptor->direct_tls};
    addr_from_sockaddr(&origin.peer, (const struct sockaddr *)&peer, len);
    admission_name(&origin);
    admission_take(backend, &origin);
    return true;
}

static void on_connection(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct acceptor *acceptor = arg;
    CHECK_MAGIC(acceptor, ACCEPTOR_MAGIC);
    for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++)
        if (!accept_one(acceptor)) return;
}

void acceptors_start(struct acceptors *acceptors, struct backend *backend)
{
    struct loop *loop = backend->shards[0]->loop;
    acceptors->backend = backend;
    acceptors->retry = deadline_queue_new(loop, RETRY_MS, on_retry, acceptors);
    for (struct acceptor *a = acceptors->first; a; a = a->next) {
        a->event = event_new(loop_base(loop), a->fd, EV_READ | EV_PERSIST, on_connection, a);
        CHECK(a->event && event_add(a->event, NULL) == 0);
    }
}

void acceptors_free(struct acceptors **acceptors)
{
    struct acceptors *all = *acceptors;
    if (!all) return;
    *acceptors = NULL;
    deadline_queue_free(&all->retry);
    while (all->first) {
        struct acceptor *a = all->first;
        all->first = a->next;
        if (a->event) event_free(a->event);
        close(a->fd);
        a->magic = 0;
        free(a);
    }
    free(all);
}
