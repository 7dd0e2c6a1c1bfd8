#include "backend/c2s_listen.h"

#include "backend/admin_http.h"
#include "backend/admission.h"
#include "backend/arrival.h"
#include "backend/component.h"
#include "backend/gateway_socket.h"
#include "backend/listener_check.h"
#include "backend/shard.h"
#include "lib/cidr.h"
#include "lib/log.h"
#include "lib/option.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { C2S_LISTEN_MAGIC = 0x6c697374, C2S_LISTENER_MAGIC = 0x61636365, ACCEPTS_PER_TURN = 64, RETRY_MS = 200 };

struct c2s_listener {
    unsigned magic;
    struct c2s_listen *all;
    struct c2s_listener *next;
    struct endpoint endpoint;
    int backlog;
    int fd;
    bool direct_tls, plain;
    enum listener_serve serve;
    struct cidr_set allow;      /* who may ask, with LISTENER_ADMIN */
    struct cidr_set proxy_from; /* whose connections begin with a PROXY header */
    struct event *event;
    struct deadline retry;
};

struct c2s_listen {
    unsigned magic;
    struct backend *backend;
    struct c2s_listener *first;
    struct deadline_queue *retry;
    struct admin_http *admin;
    struct arrivals *arrivals;
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

/* What the section says of an address besides itself; it has been checked. */
static void configure(struct c2s_listener *listener, const struct option_section *s)
{
    char error[256];
    listener->direct_tls = option_enum(s, "tls") == LISTENER_DIRECT;
    listener->plain = option_enum(s, "tls") == LISTENER_PLAIN;
    listener->serve = (enum listener_serve)option_enum(s, "serve");
    cidr_set_clear(&listener->allow);
    cidr_set_clear(&listener->proxy_from);
    CHECK(cidr_set_read(&listener->allow, s, "allow", error, sizeof(error)) == 0 &&
          cidr_set_read(&listener->proxy_from, s, "proxy-protocol-from", error, sizeof(error)) == 0);
}

static int open_section(struct c2s_listen *listeners, const struct option_section *s, char *why, size_t cap)
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
        struct c2s_listener *listener = MEM_NEW(struct c2s_listener);
        listener->magic = C2S_LISTENER_MAGIC;
        listener->all = listeners;
        listener->fd = fd;
        listener->endpoint = *endpoint;
        listener->backlog = (int)option_int(s, "backlog");
        configure(listener, s);
        listener->next = listeners->first;
        listeners->first = listener;
    }
    return 0;
}

struct c2s_listen *c2s_listen_open(const struct option_file *file, char *why, size_t cap)
{
    struct c2s_listen *listeners = MEM_NEW(struct c2s_listen);
    listeners->magic = C2S_LISTEN_MAGIC;
    const struct option_section *s = NULL;
    while ((s = option_next(file, "listener", s)) != NULL) {
        if (open_section(listeners, s, why, cap) == 0) continue;
        c2s_listen_free(&listeners);
        return NULL;
    }
    return listeners;
}

/* Connections wait in the kernel until there are descriptors again. */
static void rest(struct c2s_listener *listener)
{
    event_del(listener->event);
    deadline_arm(listener->all->retry, &listener->retry);
}

static void on_retry(struct deadline *deadline, void *arg)
{
    (void)arg;
    struct c2s_listener *listener = CONTAINER_OF(deadline, struct c2s_listener, retry);
    CHECK_MAGIC(listener, C2S_LISTENER_MAGIC);
    event_add(listener->event, NULL);
}

/* The origin's address is that of whoever is at the other end in the end, and it has an id. */
static void begin(struct backend *backend, struct stream_origin *origin, enum listener_serve serve)
{
    const bool no_tls = origin->direct_tls && !hosts_tls(shard_hosts(backend->shards[0]));
    if (no_tls) /* the last host with a certificate has just gone, and this listener is about to */
        close(origin->fd);
    else if (serve == LISTENER_COMPONENTS)
        component_begin(backend, origin->fd, origin->direct_tls, &origin->peer);
    else
        admission_take(backend, origin);
}

/* Who does not tell for whom it speaks, or speaks for itself, is nobody's source: its address is not known then. */
static void on_header(void *arg, struct stream_origin *origin, unsigned kind, const struct pp2 *header)
{
    const struct c2s_listen *listeners = arg;
    CHECK_MAGIC(listeners, C2S_LISTEN_MAGIC);
    const struct addr via = origin->peer;
    char sni[GATEWAY_SNI_BYTES];
    struct log_line line;
    gateway_socket_describe(header, origin, sni);
    log_begin(&line, LOG_LEVEL_DEBUG, "header");
    log_str(&line, "conn", origin->id);
    log_addr(&line, "via", &via);
    log_addr(&line, "peer", &origin->peer);
    log_end(&line);
    begin(listeners->backend, origin, (enum listener_serve)kind);
}

static void on_bad_header(void *arg, const struct stream_origin *origin, const char *why)
{
    const struct c2s_listen *listeners = arg;
    CHECK_MAGIC(listeners, C2S_LISTEN_MAGIC);
    struct log_line line;
    counter_add(listeners->backend->counters, COUNTER_PROXY_HEADER_FAULTS, 1);
    log_begin(&line, LOG_LEVEL_WARN, "header_malformed");
    log_addr(&line, "via", &origin->peer);
    log_str(&line, "error", why);
    log_end(&line);
}

/* false: nothing more to accept now. */
static bool accept_one(struct c2s_listener *listener)
{
    struct backend *backend = listener->all->backend;
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);
    if (listener->serve != LISTENER_ADMIN && !admission_has_room(backend)) {
        rest(listener);
        return false;
    }
    const int fd = accept4(listener->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
        if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) return true;
        counter_add(backend->counters, COUNTER_ACCEPT_FAULTS, 1);
        rest(listener);
        return false;
    }
    struct stream_origin origin = {.fd = fd,
                                   .direct_tls = listener->direct_tls,
                                   .plain = listener->plain,
                                   .server = listener->serve == LISTENER_SERVERS};
    addr_from_sockaddr(&origin.peer, (const struct sockaddr *)&peer, len);
    if (listener->serve == LISTENER_ADMIN) {
        admin_http_take(listener->all->admin, fd, cidr_set_admits(&listener->allow, &origin.peer));
    } else if (cidr_set_holds(&listener->proxy_from, &origin.peer)) {
        arrivals_add(listener->all->arrivals, &origin, listener->serve);
    } else {
        admission_name(&origin);
        begin(backend, &origin, listener->serve);
    }
    return true;
}

static void on_connection(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct c2s_listener *listener = arg;
    CHECK_MAGIC(listener, C2S_LISTENER_MAGIC);
    for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++)
        if (!accept_one(listener)) return;
}

void c2s_listen_start(struct c2s_listen *listeners, struct backend *backend)
{
    struct loop *loop = backend->shards[0]->loop;
    listeners->backend = backend;
    listeners->retry = deadline_queue_new(loop, RETRY_MS, on_retry, listeners);
    listeners->admin = admin_http_new(backend);
    const struct arrival_rules rules = {.version1 = true, .settled = on_header, .failed = on_bad_header};
    listeners->arrivals = arrivals_new(backend, &rules, listeners);
    for (struct c2s_listener *a = listeners->first; a; a = a->next) {
        a->event = event_new(loop_base(loop), a->fd, EV_READ | EV_PERSIST, on_connection, a);
        CHECK(a->event && event_add(a->event, NULL) == 0);
    }
}

static bool same_endpoint(const struct endpoint *a, const struct endpoint *b)
{
    return a->len == b->len && memcmp(&a->sa, &b->sa, a->len) == 0;
}

int c2s_listen_check(const struct c2s_listen *listeners, const struct option_file *file, char *error, size_t cap)
{
    const struct option_section *s = NULL;
    while ((s = option_next(file, "listener", s)) != NULL) {
        for (size_t i = 0; i < option_count(s, "address"); i++) {
            const struct endpoint *endpoint = option_endpoint(s, "address", i);
            const struct c2s_listener *a = listeners->first;
            char text[ENDPOINT_TEXT_BYTES];
            while (a && !same_endpoint(&a->endpoint, endpoint))
                a = a->next;
            if (!a)
                return option_error(s, "address", error, cap, "needs restart: %s is not listened on yet",
                                    endpoint_format(endpoint, text, sizeof(text)));
            if (a->backlog != option_int(s, "backlog"))
                return option_error(s, "backlog", error, cap, "needs restart: it cannot change while the server runs");
        }
    }
    return 0;
}

/* The section that names the listener's address, or NULL. */
static const struct option_section *section_of(const struct c2s_listener *listener, const struct option_file *file)
{
    const struct option_section *s = NULL;
    while ((s = option_next(file, "listener", s)) != NULL)
        for (size_t i = 0; i < option_count(s, "address"); i++)
            if (same_endpoint(&listener->endpoint, option_endpoint(s, "address", i))) return s;
    return NULL;
}

static void close_listener(struct c2s_listener *listener)
{
    deadline_disarm(&listener->retry);
    if (listener->event) event_free(listener->event);
    close(listener->fd);
    cidr_set_clear(&listener->allow);
    cidr_set_clear(&listener->proxy_from);
    listener->magic = 0;
    free(listener);
}

void c2s_listen_change(struct c2s_listen *listeners, const struct option_file *file)
{
    struct c2s_listener **at = &listeners->first;
    while (*at) {
        struct c2s_listener *a = *at;
        const struct option_section *s = section_of(a, file);
        if (s) {
            configure(a, s);
            at = &a->next;
        } else {
            *at = a->next;
            close_listener(a);
        }
    }
}

void c2s_listen_free(struct c2s_listen **listeners)
{
    struct c2s_listen *all = *listeners;
    if (!all) return;
    *listeners = NULL;
    deadline_queue_free(&all->retry);
    admin_http_free(&all->admin);
    arrivals_free(&all->arrivals);
    while (all->first) {
        struct c2s_listener *a = all->first;
        all->first = a->next;
        close_listener(a);
    }
    all->magic = 0;
    free(all);
}
