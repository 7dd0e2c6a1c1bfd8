#include "gateway/action_proxy.h"

#include "gateway/action_queue.h"
#include "gateway/prefix.h"
#include "gateway/server_socket.h"
#include "gateway/upstream.h"
#include "gateway/worker.h"
#include "lib/log.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>

static enum conn_state connected(struct conn *conn)
{
    conn_watch_server(conn, 0);
    (void)upstream_worked(conn->upstream, conn->server);
    conn_wait_done(conn);
    prefix_queue(conn);
    return CONN_RELAY;
}

/* Want of something in this machine says nothing about the server. */
static bool is_ours(int error)
{
    return error == EADDRNOTAVAIL || error == ENOBUFS || error == ENOMEM || error == EPERM || error == EAFNOSUPPORT;
}

static void server_failed(struct conn *conn, int error)
{
    char id[CONN_ID_BYTES];
    struct log_line line;
    log_begin(&line, LOG_LEVEL_WARN, "connect_failed");
    log_str(&line, "conn", conn_id(conn, id));
    log_str(&line, "upstream", conn->upstream->config->name);
    log_str(&line, "server", conn->upstream->config->servers[conn->server].name);
    log_str(&line, "error", strerror(error));
    log_end(&line);
    conn_count(conn, COUNTER_CONNECT_FAILED, 1);
    if (!is_ours(error) && upstream_failed(conn->upstream, conn->server)) conn_count(conn, COUNTER_EJECTIONS, 1);
    conn_close_server(conn);
    conn_wait(conn)->tried |= UINT64_C(1) << conn->server;
    upstream_release(conn->upstream, conn->server);
    conn->server = UPSTREAM_NO_SERVER;
    deadline_disarm(&conn->deadline);
}

/* Begin to connect to conn->server; CONN_CONNECT and no socket: it has failed, or has to be asked again. */
static enum conn_state connect_server(struct conn *conn)
{
    const struct upstream *upstream = conn->upstream;
    switch (server_socket_connect(upstream, conn->server, &conn->peer, &conn->server_side.fd)) {
    case SERVER_SOCKET_CONNECTED:
        return connected(conn);
    case SERVER_SOCKET_CONNECTING:
        deadline_arm(upstream->connect_queue, &conn->deadline);
        conn_watch_server(conn, EV_WRITE);
        return CONN_CONNECT;
    case SERVER_SOCKET_BUSY:
        /* Asking again does not start the time anew. */
        if (!list_linked(&conn->deadline.link)) deadline_arm(upstream->connect_queue, &conn->deadline);
        deadline_arm(conn->worker->nap_queue, &conn->nap);
        return CONN_CONNECT;
    case SERVER_SOCKET_FAILED:
        if (errno == EMFILE || errno == ENFILE) return conn_ends(conn, CLOSE_DESCRIPTORS);
        server_failed(conn, errno);
    }
    return CONN_CONNECT;
}

static enum upstream_choice choose(struct conn *conn)
{
    uint64_t tried = conn->wait != NULL ? conn->wait->tried : 0;
    return upstream_choose(conn->upstream, &conn->peer, tried, &conn->server);
}

static enum conn_state unavailable(struct conn *conn)
{
    conn_discard(conn);
    return conn_ends(conn, CLOSE_UPSTREAM_UNAVAILABLE);
}

static enum conn_state try_servers(struct conn *conn)
{
    for (;;) {
        if (conn->server == UPSTREAM_NO_SERVER) {
            /* Those who wait already come first. */
            if (!list_empty(&conn->upstream->waiting)) return action_queue_start(conn);
            switch (choose(conn)) {
            case UPSTREAM_CHOSEN:
                break;
            case UPSTREAM_FULL:
                return action_queue_start(conn);
            case UPSTREAM_NONE:
                return unavailable(conn);
            }
        }
        enum conn_state next = connect_server(conn);
        if (next != CONN_CONNECT || conn->server != UPSTREAM_NO_SERVER) return next;
    }
}

enum conn_state action_proxy_start(struct conn *conn, const struct sight *sight)
{
    conn->upstream = conn->route->user;
    conn->server = UPSTREAM_NO_SERVER;
    prefix_note(conn, sight);
    return CONN_CONNECT;
}

enum conn_state action_proxy_fall_back(struct conn *conn, struct upstream *upstream)
{
    conn->upstream = upstream;
    conn->server = UPSTREAM_NO_SERVER;
    prefix_note_handoff(conn);
    conn_count(conn, COUNTER_FALLBACKS, 1);
    return CONN_CONNECT;
}

enum conn_state action_proxy_again(struct conn *conn)
{
    switch (choose(conn)) {
    case UPSTREAM_CHOSEN:
        return CONN_CONNECT;
    case UPSTREAM_FULL:
        return CONN_QUEUE;
    case UPSTREAM_NONE:
        break;
    }
    return unavailable(conn);
}

enum conn_state action_proxy_step_connect(struct conn *conn, unsigned wake)
{
    int error = 0;
    deadline_disarm(&conn->nap);
    if (wake & (CONN_WAKE_ENTER | CONN_WAKE_RETRY)) return try_servers(conn);
    if (wake & CONN_WAKE_SERVER_WRITE) {
        error = server_socket_result(conn->server_side.fd);
        if (error == 0) return connected(conn);
    } else if (wake & CONN_WAKE_DEADLINE) {
        error = ETIMEDOUT;
    } else {
        return CONN_CONNECT;
    }
    server_failed(conn, error);
    return try_servers(conn);
}
