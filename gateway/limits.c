#include "gateway/limits.h"

#include "gateway/conn.h"
#include "gateway/inbound.h"
#include "gateway/worker.h"
#include "lib/log.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LINES_A_SECOND = 50,
    ADMIN_MAX = 32, /* beside max-connections: who is overloaded wants to see why, and nobody is kept out by it */
};

static void on_second(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = arg;
    struct limits *limits = &worker->limits;
    (void)fd, (void)what;
    if (limits->held_back > 0)
        log_msg(LOG_LEVEL_WARN, "lines_held_back",
                "worker %zu closed %u more connections for limits within a second; the counters have them all",
                worker->index, limits->held_back);
    limits->lines = 0;
    limits->held_back = 0;
}

void limits_open(struct worker *worker, struct source_table *table, int region)
{
    struct limits *limits = &worker->limits;
    const struct limits_config *config = &worker->config->limits;
    sources_open(&limits->sources, table, region);
    limits->counting = config->connections_per_source > 0 || config->probing_per_source > 0;
    limits->second = evtimer_new(loop_base(worker->loop), on_second, worker);
    CHECK(limits->second != NULL);
    limits->spare_fd = eventfd(0, EFD_CLOEXEC);
}

void limits_close(struct worker *worker)
{
    event_free(worker->limits.second);
    if (worker->limits.spare_fd >= 0) close(worker->limits.spare_fd);
    sources_close(&worker->limits.sources);
}

static bool is_limited(const struct worker *worker, const struct addr *source)
{
    return source->sa.sa_family != AF_UNSPEC && !cidr_set_holds(&worker->config->limits.unlimited, source);
}

bool limits_admit_source(struct worker *worker, const struct addr *source, enum close_reason *why)
{
    const struct limits_config *config = &worker->config->limits;
    struct limits *limits = &worker->limits;
    if ((!limits->counting && config->rate_per_source.burst == 0) || !is_limited(worker, source)) return true;
    uint64_t key = source_key(&limits->sources, source);
    if (limits->counting) {
        struct source_counts held = source_counts(&limits->sources, key);
        *why = CLOSE_SOURCE_CONNECTIONS;
        if (config->connections_per_source > 0 && held.connections >= config->connections_per_source) return false;
        *why = CLOSE_SOURCE_PROBING;
        if (config->probing_per_source > 0 && held.probing >= config->probing_per_source) return false;
    }
    *why = CLOSE_SOURCE_RATE;
    return config->rate_per_source.burst == 0 ||
           source_rate_take(&limits->sources, key, &config->rate_per_source, loop_now_ms(worker->loop));
}

bool limits_admit(struct worker *worker, const struct listener_config *listener, const struct addr *peer,
                  enum close_reason *why)
{
    *why = CLOSE_OVERLOAD;
    size_t admins = worker->limits.admin_count;
    if (listener->admin) return admins < ADMIN_MAX;
    if (worker->conn_count - admins >= worker->config->max_connections) return false;
    if (inbound_expects(listener, peer)) return true;
    return limits_admit_source(worker, peer, why);
}

/* Whether clients can make as many of these as they like. */
static bool comes_in_floods(enum close_reason reason)
{
    switch (reason) {
    case CLOSE_OVERLOAD:
    case CLOSE_DESCRIPTORS:
    case CLOSE_PROBING_HURRIED:
    case CLOSE_SOURCE_CONNECTIONS:
    case CLOSE_SOURCE_PROBING:
    case CLOSE_SOURCE_RATE:
        return true;
    default:
        return false;
    }
}

bool limits_may_log(struct worker *worker, enum close_reason reason)
{
    struct limits *limits = &worker->limits;
    if (!comes_in_floods(reason)) return true;
    if (limits->lines == LINES_A_SECOND) {
        limits->held_back++;
        return false;
    }
    const struct timeval second = {.tv_sec = 1};
    if (limits->lines++ == 0) evtimer_add(limits->second, &second);
    return true;
}

void limits_turn_away(struct worker *worker, const struct listener_config *listener, int fd, const struct addr *peer,
                      enum close_reason reason)
{
    const struct linger linger = {.l_onoff = 1};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(fd);
    counter_add(worker->totals, close_reason_row(reason), 1);
    if (!limits_may_log(worker, reason)) return;
    struct log_line line;
    char id[CONN_ID_BYTES];
    log_begin(&line, LOG_LEVEL_INFO, "close");
    log_str(&line, "conn", conn_id_text(worker->next_id++, id));
    log_addr(&line, "peer", peer);
    log_str(&line, "listener", listener->name);
    log_str(&line, "reason", close_reason_name(reason));
    log_end(&line);
}

int limits_shed(struct worker *worker, const struct listener_config *listener, int listening_fd)
{
    struct sockaddr_storage from;
    socklen_t len = sizeof(from);
    struct addr peer;
    int *spare = &worker->limits.spare_fd;
    if (*spare < 0) *spare = eventfd(0, EFD_CLOEXEC);
    if (*spare < 0) return -1;
    close(*spare);
    int fd = accept4(listening_fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    bool empty = fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    if (fd >= 0) {
        addr_from_sockaddr(&peer, (struct sockaddr *)&from, len);
        counter_add(worker->totals, COUNTER_ACCEPTED, 1);
        limits_turn_away(worker, listener, fd, &peer, CLOSE_DESCRIPTORS);
    }
    *spare = eventfd(0, EFD_CLOEXEC);
    return fd >= 0 ? 1 : empty ? 0 : -1;
}

void limits_came(struct conn *conn)
{
    struct limits *limits = &conn->worker->limits;
    if (conn->listener->admin) {
        limits->admin_count++;
        return;
    }
    if (!limits->counting || !is_limited(conn->worker, &conn->peer)) return;
    source_came(&limits->sources, source_key(&limits->sources, &conn->peer));
    conn->counted = true;
    conn->undecided = true;
}

void limits_decided(struct conn *conn)
{
    struct limits *limits = &conn->worker->limits;
    if (conn->undecided) source_decided(&limits->sources, source_key(&limits->sources, &conn->peer));
    conn->undecided = false;
}

void limits_left(struct conn *conn)
{
    struct limits *limits = &conn->worker->limits;
    limits_decided(conn);
    if (conn->listener->admin) limits->admin_count--;
    if (conn->counted) source_left(&limits->sources, source_key(&limits->sources, &conn->peer));
    conn->counted = false;
}
