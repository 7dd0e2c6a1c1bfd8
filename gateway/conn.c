#include "gateway/conn.h"

#include "gateway/action_admin.h"
#include "gateway/action_handoff.h"
#include "gateway/action_proxy.h"
#include "gateway/action_queue.h"
#include "gateway/action_refuse.h"
#include "gateway/action_terminate.h"
#include "gateway/inbound.h"
#include "gateway/limits.h"
#include "gateway/peek.h"
#include "gateway/probing.h"
#include "gateway/proxy_relay.h"
#include "gateway/secure.h"
#include "gateway/upstream.h"
#include "gateway/worker.h"
#include "lib/log.h"
#include "lib/mem.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CONN_MAGIC = 0x434f4e4e,
    DISCARD_BYTES = 64 * 1024,
};

/* Memory for each connection is a promise of the design. */
_Static_assert(sizeof(struct conn) <= 384, "a connection has grown");

struct state_row {
    const char *name;
    enum conn_state (*step)(struct conn *conn, unsigned wake);
    struct deadline_queue *(*queue)(const struct conn *conn);
};

static struct deadline_queue *peek_queue(const struct conn *conn)
{
    return conn->worker->peek_queue;
}

static struct deadline_queue *handshake_queue(const struct conn *conn)
{
    return conn->worker->handshake_queue;
}

static struct deadline_queue *wait_queue(const struct conn *conn)
{
    return conn->upstream->wait_queue;
}

static struct deadline_queue *connect_queue(const struct conn *conn)
{
    return conn->upstream->connect_queue;
}

static struct deadline_queue *handoff_queue(const struct conn *conn)
{
    return conn->handoff->queue;
}

static struct deadline_queue *idle_queue(const struct conn *conn)
{
    return conn->worker->idle_queue;
}

static struct deadline_queue *half_closed_queue(const struct conn *conn)
{
    return conn->worker->half_closed_queue;
}

static const struct state_row STATES[CONN_STATE_COUNT] = {
    [CONN_INBOUND] = {"inbound", inbound_step, peek_queue},
    [CONN_PEEK] = {"peek", peek_step, peek_queue},
    [CONN_QUEUE] = {"queue", action_queue_step, wait_queue},
    [CONN_TLS_HANDSHAKE] = {"tls_handshake", action_terminate_step_handshake, handshake_queue},
    [CONN_TLS_INSIDE] = {"tls_inside", action_terminate_step_inside, peek_queue},
    [CONN_CONNECT] = {"connect", action_proxy_step_connect, connect_queue},
    [CONN_HANDOFF_WAIT] = {"handoff_wait", action_handoff_step, handoff_queue},
    [CONN_RELAY] = {"relay", proxy_relay_step, idle_queue},
    [CONN_HALF_CLOSED] = {"half_closed", proxy_relay_step_half_closed, half_closed_queue},
    /* Who had peek-timeout to ask has as long again to take the answer. */
    [CONN_REFUSE] = {"refuse", action_refuse_step, peek_queue},
    [CONN_ADMIN] = {"admin", action_admin_step, peek_queue},
    [CONN_END] = {"end", NULL, NULL},
};

const char *conn_state_name(enum conn_state state)
{
    return STATES[state].name;
}

char *conn_id(const struct conn *conn, char out[CONN_ID_BYTES])
{
    return conn_id_text(conn->id, out);
}

char *conn_id_text(uint64_t id, char out[CONN_ID_BYTES])
{
    for (size_t i = CONN_ID_BYTES - 1; i > 0; i--, id >>= 4)
        out[i - 1] = "0123456789abcdef"[id & 15];
    out[CONN_ID_BYTES - 1] = '\0';
    return out;
}

const char *conn_sni(const struct conn *conn)
{
    return conn->names != NULL && conn->names[0] != '\0' ? conn->names : NULL;
}

const char *conn_alpn(const struct conn *conn)
{
    if (conn->names == NULL) return NULL;
    const char *alpn = conn->names + strlen(conn->names) + 1;
    return alpn[0] != '\0' ? alpn : NULL;
}

void conn_remember(struct conn *conn, const struct sight *sight)
{
    if (!sight->hello_done || conn->names != NULL) return;
    char alpn[CLIENTHELLO_ALPN_MAX_BYTES];
    clienthello_alpn_text(&sight->hello, alpn, sizeof(alpn));
    const char *sni = sight->hello.has_sni ? sight->hello.sni : "";
    size_t sni_len = strlen(sni), alpn_len = strlen(alpn);
    conn->names = mem_alloc(sni_len + alpn_len + 2);
    memcpy(conn->names, sni, sni_len);
    memcpy(conn->names + sni_len + 1, alpn, alpn_len);
}

void conn_count(struct conn *conn, enum gateway_counter row, uint64_t n)
{
    counter_add(conn->worker->totals, row, n);
    if (conn->route != NULL) counter_add(conn->worker->route_totals[conn->route->index], row, n);
}

void conn_on_ready(void *owner, unsigned tag, short what)
{
    struct conn *conn = owner;
    /* Another event of this turn has ended it; its memory is freed behind the turn. */
    if (conn->magic != CONN_MAGIC) return;
    struct conn_side *side = tag == CONN_CLIENT ? &conn->client : &conn->server_side;
    unsigned wake = 0;
    if (what & side->wanted & EV_READ) wake |= tag == CONN_CLIENT ? CONN_WAKE_CLIENT_READ : CONN_WAKE_SERVER_READ;
    if (what & side->wanted & EV_WRITE) wake |= tag == CONN_CLIENT ? CONN_WAKE_CLIENT_WRITE : CONN_WAKE_SERVER_WRITE;
    if (wake == 0)
        poller_watch(conn->worker->poller, side->fd, &side->watched, side->wanted, conn, tag);
    else
        conn_drive(conn, wake);
}

/* Nothing is wanted mostly for a moment only: whether that lasts is seen when the socket becomes ready. */
static void watch(struct conn *conn, struct conn_side *side, short what, unsigned tag)
{
    side->wanted = (uint8_t)what;
    if (what != 0) poller_watch(conn->worker->poller, side->fd, &side->watched, what, conn, tag);
}

void conn_watch_client(struct conn *conn, short what)
{
    watch(conn, &conn->client, what, CONN_CLIENT);
}

void conn_watch_server(struct conn *conn, short what)
{
    watch(conn, &conn->server_side, what, CONN_SERVER);
}

static void close_side(struct conn_side *side, bool reset)
{
    if (side->fd < 0) return;
    side->wanted = side->watched = 0;
    /* With no time to linger the kernel sends a reset: the other side must see that it was cut off. */
    const struct linger linger = {.l_onoff = 1};
    if (reset) (void)setsockopt(side->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(side->fd);
    side->fd = -1;
}

void conn_close_server(struct conn *conn)
{
    close_side(&conn->server_side, conn->reset);
}

void conn_discard(struct conn *conn)
{
    (void)recv(conn->client.fd, NULL, DISCARD_BYTES, MSG_DONTWAIT | MSG_TRUNC);
}

enum conn_state conn_ends(struct conn *conn, enum close_reason reason)
{
    conn->reason = (uint8_t)reason;
    return CONN_END;
}

enum conn_state conn_resets(struct conn *conn, enum close_reason reason)
{
    conn->reset = true;
    return conn_ends(conn, reason);
}

struct conn_wait *conn_wait(struct conn *conn)
{
    if (conn->wait == NULL) conn->wait = MEM_NEW(struct conn_wait);
    conn->wait->conn = conn;
    return conn->wait;
}

void conn_wait_done(struct conn *conn)
{
    if (conn->wait == NULL) return;
    list_remove(&conn->wait->link);
    free(conn->wait);
    conn->wait = NULL;
}

/* An hour's timeout need not be exact to the millisecond: moving the deadline for each read would cost more than it
 * is worth. */
void conn_rearm(struct conn *conn, int64_t timeout_ms)
{
    int64_t now_ms = loop_now_ms(conn->worker->loop);
    int64_t coarse_ms = timeout_ms / 16 < 1000 ? timeout_ms / 16 : 1000;
    if (now_ms - conn->armed_ms < coarse_ms) return;
    conn->armed_ms = now_ms;
    deadline_arm(STATES[conn->state].queue(conn), &conn->deadline);
}

static void log_end_of(const struct conn *conn)
{
    /* Who watches asks every few seconds. */
    const enum log_level level = conn->reason == CLOSE_ADMIN ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
    if (!log_enabled(level)) return;
    struct log_line line;
    char id[CONN_ID_BYTES], local[ADDR_TEXT_BYTES];
    const struct route *route = conn->route;
    const struct upstream *upstream = conn->upstream;
    log_begin(&line, level, "close");
    log_str(&line, "conn", conn_id(conn, id));
    log_addr(&line, "peer", &conn->peer);
    log_str(&line, "local", addr_format(&conn->local, ADDR_FULL, local, sizeof(local)));
    log_str(&line, "listener", conn->listener->name);
    if (route != NULL) {
        log_str(&line, "route", route->name);
        log_int(&line, "rule", route->line);
    }
    if (upstream != NULL) {
        log_str(&line, "upstream", upstream->config->name);
        if (conn->server != UPSTREAM_NO_SERVER) log_str(&line, "server", upstream->config->servers[conn->server].name);
    }
    if (conn->handoff != NULL) {
        log_str(&line, "backend", conn->handoff->config->name);
        if (conn->reason == CLOSE_HANDED_OFF && conn->handoff->config->inlet_count > 1)
            log_str(&line, "inlet", conn->handoff->config->inlets[conn->server].un.sun_path);
    }
    log_str(&line, "sni", conn_sni(conn));
    log_str(&line, "alpn", conn_alpn(conn));
    log_str(&line, "protocol", conn->protocol);
    action_terminate_log(conn, &line);
    log_uint(&line, "bytes_in", conn->up.bytes);
    log_uint(&line, "bytes_out", conn->down.bytes);
    log_int(&line, "duration_ms", loop_now_ms(conn->worker->loop) - conn->start_ms);
    log_str(&line, "reason", close_reason_name((enum close_reason)conn->reason));
    log_end(&line);
}

/* The one place where a connection ends. */
static void finish(struct conn *conn)
{
    struct worker *worker = conn->worker;
    size_t row = close_reason_row((enum close_reason)conn->reason);
    counter_add(worker->totals, row, 1);
    if (conn->route != NULL) counter_add(worker->route_totals[conn->route->index], row, 1);
    if (limits_may_log(worker, (enum close_reason)conn->reason)) log_end_of(conn);

    /* Bytes that were taken from one side and cannot reach the other: it must not look like an end in order. */
    if (relay_wants_write(&conn->up) || relay_wants_write(&conn->down)) conn->reset = true;
    relay_release(&worker->relay, &conn->up);
    relay_release(&worker->relay, &conn->down);
    conn_close_server(conn);
    secure_free(&conn->secure, !conn->reset);
    /* A handed-off socket is the backend's now: our copy is closed and nothing else; but as long as it lives it would
     * be watched. */
    if (conn->reason == CLOSE_HANDED_OFF)
        poller_watch(worker->poller, conn->client.fd, &conn->client.watched, 0, conn, CONN_CLIENT);
    close_side(&conn->client, conn->reset && conn->reason != CLOSE_HANDED_OFF);

    deadline_disarm(&conn->deadline);
    deadline_disarm(&conn->nap);
    probing_leave(conn);
    limits_left(conn);
    action_queue_leave(conn);
    conn_wait_done(conn);
    if (conn->upstream != NULL && conn->server != UPSTREAM_NO_SERVER) upstream_release(conn->upstream, conn->server);
    list_remove(&conn->link);
    free(conn->header);
    free(conn->names);
    conn->header = NULL;
    conn->names = NULL;
    conn->magic = 0;
    loop_defer_free(worker->loop, conn);
    worker_conn_gone(worker);
}

/* The one setter of the state. */
static void enter(struct conn *conn, enum conn_state next)
{
    if (log_enabled(LOG_LEVEL_DEBUG)) {
        char id[CONN_ID_BYTES];
        struct log_line line;
        log_begin(&line, LOG_LEVEL_DEBUG, "state");
        log_str(&line, "conn", conn_id(conn, id));
        log_str(&line, "from", STATES[conn->state].name);
        log_str(&line, "to", STATES[next].name);
        log_end(&line);
    }
    conn->state = (uint8_t)next;
    deadline_disarm(&conn->deadline);
    if (STATES[next].queue == NULL) return;
    conn->armed_ms = loop_now_ms(conn->worker->loop);
    deadline_arm(STATES[next].queue(conn), &conn->deadline);
}

void conn_drive(struct conn *conn, unsigned wake)
{
    CHECK_MAGIC(conn, CONN_MAGIC);
    for (;;) {
        enum conn_state next = STATES[conn->state].step(conn, wake);
        if (next == (enum conn_state)conn->state) return;
        enter(conn, next);
        if (next == CONN_END) {
            finish(conn);
            return;
        }
        wake = CONN_WAKE_ENTER;
    }
}

void conn_close(struct conn *conn, enum close_reason reason)
{
    CHECK_MAGIC(conn, CONN_MAGIC);
    /* Neither side has ended it: what was cut off must not look complete. */
    if (conn->server_side.fd >= 0) conn->reset = true;
    enter(conn, conn_ends(conn, reason));
    finish(conn);
}

static enum conn_state first_state(struct conn *conn)
{
    if (inbound_expects(conn->listener, &conn->peer)) return CONN_INBOUND;
    limits_came(conn);
    return conn->listener->admin ? CONN_ADMIN : CONN_PEEK;
}

void conn_start(struct worker *worker, const struct listener_config *listener, int fd, const struct addr *peer,
                const struct addr *local)
{
    struct conn *conn = MEM_NEW(struct conn);
    conn->magic = CONN_MAGIC;
    conn->worker = worker;
    conn->listener = listener;
    conn->id = worker->next_id++;
    conn->start_ms = loop_now_ms(worker->loop);
    conn->client.fd = fd;
    conn->server_side.fd = -1;
    conn->peer = *peer;
    conn->local = *local;
    if (local->sa.sa_family == AF_UNSPEC) conn->local = addr_of_socket(fd);
    list_append(&worker->conns, &conn->link);
    worker_conn_came(worker);
    enter(conn, first_state(conn));
    conn_drive(conn, CONN_WAKE_ENTER);
}
