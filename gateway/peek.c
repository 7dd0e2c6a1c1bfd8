#include "gateway/peek.h"

#include "gateway/action_handoff.h"
#include "gateway/action_proxy.h"
#include "gateway/action_refuse.h"
#include "gateway/action_terminate.h"
#include "gateway/clients.h"
#include "gateway/inbound.h"
#include "gateway/limits.h"
#include "gateway/probe_rows.h"
#include "gateway/probing.h"
#include "gateway/worker.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <sys/socket.h>

/* So often a connection is looked at as soon as something comes.  Each look is at all of its bytes, with every probe
 * and pattern: who sends them one by one waits for the next look, and does not choose how much work that makes. */
enum { EAGER_LOOKS = 16 };

static enum conn_state (*const ACTIONS[])(struct conn *conn, const struct sight *sight) = {
    [ROUTE_PROXY] = action_proxy_start,
    [ROUTE_HANDOFF] = action_handoff_start,
    [ROUTE_REFUSE] = action_refuse_start,
    [ROUTE_TERMINATE] = action_terminate_start,
};

enum peek_look peek_look(int fd, void *buffer, size_t cap, size_t seen, size_t *len)
{
    ssize_t n;
    do {
        n = recv(fd, buffer, cap, MSG_PEEK | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    *len = n > 0 ? (size_t)n : 0;
    if (n == 0) return PEEK_ENDED;
    if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? PEEK_SAME : PEEK_BROKEN;
    if (*len > seen) return PEEK_GREW;
    /* Peeking stops at an urgent byte that has others before it, and nothing but consuming them would go on. */
    struct pollfd state = {.fd = fd, .events = POLLRDHUP | POLLPRI};
    if (poll(&state, 1, 0) <= 0) return PEEK_SAME;
    return (state.revents & POLLERR) ? PEEK_BROKEN : PEEK_ENDED;
}

void peek_wait_beyond(int fd, size_t seen)
{
    int bytes = (int)seen + 1;
    /* Refused only for what is not a stream socket; a loop without the mark is busier, but right. */
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes));
}

/* A route need not ask for the names in a hello, but the log and whoever gets the connection are told them: a hello
 * that has begun is waited for, so that they do not depend on how it was cut either. */
static bool hello_is_coming(struct sight *sight)
{
    static const uint8_t RECORD_HANDSHAKE = 22; /* RFC 8446 section 5.1 */
    if (sight->final || sight->hello_done || sight->len == 0 || sight->data[0] != RECORD_HANDSHAKE) return false;
    return probe_tls_look(sight) == PROBE_MORE;
}

/* The name of the pattern by which the route was found, or of the first protocol that matches, for the log. */
static const char *protocol_of(struct sight *sight)
{
    if (sight->pattern != NULL) return sight->pattern;
    if (sight->hello_done || sight->hello_partial) return "tls";
    if (sight->len == 0) return NULL;
    const char *name = NULL;
    const bool final = sight->final;
    sight->final = true;
    for (size_t i = 0; i < PROBE_COUNT && name == NULL; i++)
        if (PROBES[i].look(sight) == PROBE_MATCH) name = PROBES[i].name;
    sight->final = final;
    return name;
}

static void nap(struct conn *conn)
{
    conn_watch_client(conn, 0);
    deadline_arm(conn->worker->nap_queue, &conn->nap);
}

void peek_wait(struct conn *conn, size_t seen)
{
    probing_wait(conn, seen);
    peek_wait_beyond(conn->client.fd, seen);
    if (conn->looks == EAGER_LOOKS) {
        nap(conn);
    } else {
        conn->looks++;
        conn_watch_client(conn, EV_READ);
    }
}

void peek_again(struct conn *conn, unsigned wake, size_t len)
{
    probing_wait(conn, len);
    /* Woken without growth: the kernel is short of memory and would wake us again at once, so pause. */
    if ((wake & CONN_WAKE_CLIENT_READ) && len > 0)
        nap(conn);
    else
        conn_watch_client(conn, EV_READ);
}

enum route_verdict peek_route(struct conn *conn, struct sight *sight, const struct route_query *query)
{
    struct route *route = NULL;
    enum route_verdict verdict = route_find(conn->worker->config->routes, sight, query, &route);
    if (sight->pattern_limits > 0) conn_count(conn, COUNTER_PATTERN_LIMITS, sight->pattern_limits);
    if (verdict == ROUTE_FOUND && action_refuse_waits(route, sight)) return ROUTE_MORE;
    if (verdict == ROUTE_FOUND && query->inside == NULL && hello_is_coming(sight)) return ROUTE_MORE;
    if (verdict == ROUTE_MORE) return verdict;
    conn->protocol = protocol_of(sight);
    if (verdict == ROUTE_FOUND) {
        conn->route = route;
        conn->hurried = false;
    }
    probing_leave(conn);
    /* What is inside comes to be decided, too. */
    if (verdict == ROUTE_NONE || route->action != ROUTE_TERMINATE) limits_decided(conn);
    return verdict;
}

enum conn_state peek_act(struct conn *conn, const struct sight *sight)
{
    conn_watch_client(conn, 0);
    /* Who is decided twice is one of two routes, but one connection. */
    if (conn->secure == NULL) counter_add(conn->worker->totals, COUNTER_ROUTED, 1);
    counter_add(conn->worker->route_totals[conn->route->index], COUNTER_ROUTED, 1);
    return ACTIONS[conn->route->action](conn, sight);
}

enum conn_state peek_no_route(struct conn *conn, const struct sight *sight)
{
    conn_discard(conn);
    if (conn->hurried) return conn_ends(conn, CLOSE_PROBING_HURRIED);
    return conn_ends(conn, sight->len == 0 ? CLOSE_PEEK_TIMEOUT : CLOSE_NO_ROUTE);
}

static enum conn_state decide(struct conn *conn, struct sight *sight)
{
    const struct route_query query = {
        .listener = conn->listener->name, .source = &conn->peer, .destination = &conn->local};
    enum route_verdict verdict = peek_route(conn, sight, &query);
    if (verdict == ROUTE_MORE) {
        peek_wait(conn, sight->len);
        return CONN_PEEK;
    }
    conn_remember(conn, sight);
    if (conn->seen > 0) peek_wait_beyond(conn->client.fd, 0);
    clients_count(conn, sight);
    return verdict == ROUTE_FOUND ? peek_act(conn, sight) : peek_no_route(conn, sight);
}

enum conn_state peek_step(struct conn *conn, unsigned wake)
{
    struct worker *worker = conn->worker;
    size_t cap = worker->config->peek_limit_bytes, len = 0;
    bool deadline = wake & CONN_WAKE_DEADLINE;
    deadline_disarm(&conn->nap);
    enum peek_look look = peek_look(conn->client.fd, worker->peek_buffer, cap, conn->seen, &len);
    if (look == PEEK_BROKEN) return conn_resets(conn, CLOSE_CLIENT_RESET);
    if (look == PEEK_ENDED && len == 0) return conn_ends(conn, CLOSE_PEEK_EOF);
    if (look == PEEK_SAME && !deadline) {
        peek_again(conn, wake, len);
        return CONN_PEEK;
    }
    struct sight sight = {
        .data = worker->peek_buffer,
        .len = len,
        .final = deadline || look == PEEK_ENDED || len >= cap,
    };
    switch (inbound_look(conn->listener, &sight)) {
    case PROBE_MATCH:
        return conn_resets(conn, CLOSE_HEADER_REFUSED);
    case PROBE_MORE:
        peek_wait(conn, len);
        return CONN_PEEK;
    case PROBE_NO:
        break;
    }
    return decide(conn, &sight);
}
