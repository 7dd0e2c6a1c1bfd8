#include "gateway/action_proxy.h"

#include "gateway/prefix.h"
#include "gateway/upstream.h"
#include "gateway/worker.h"
#include "lib/log.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>

static enum conn_state connected(struct conn *conn)
{
    conn_watch_server(conn, 0);
    prefix_queue(conn);
    return CONN_RELAY;
}

static void server_failed(struct conn *conn, int error)
{
    const struct upstream_config *config = conn->upstream->config;
    char id[CONN_ID_BYTES], server[ENDPOINT_TEXT_BYTES];
    struct log_line line;
    log_begin(&line, LOG_LEVEL_WARN, "connect_failed");
    log_str(&line, "conn", conn_id(conn, id));
    log_str(&line, "upstream", config->name);
    log_str(&line, "server", endpoint_format(gateway_config_server(config, conn->server), server, sizeof(server)));
    log_str(&line, "error", strerror(error));
    log_end(&line);
    conn_count(conn, COUNTER_CONNECT_FAILED, 1);
    conn_close_server(conn);
}

static enum conn_state try_servers(struct conn *conn)
{
    for (; conn->server < conn->upstream->config->server_count; conn->server++) {
        switch (upstream_connect(conn->upstream, conn->server, &conn->server_side.fd)) {
        case UPSTREAM_CONNECTED:
            return connected(conn);
        case UPSTREAM_CONNECTING:
            deadline_arm(conn->upstream->connect_queue, &conn->deadline);
            conn_watch_server(conn, EV_WRITE);
            return CONN_CONNECT;
        case UPSTREAM_BUSY:
            /* Asking again does not start the time anew. */
            if (!list_linked(&conn->deadline.link)) deadline_arm(conn->upstream->connect_queue, &conn->deadline);
            deadline_arm(conn->worker->nap_queue, &conn->nap);
            return CONN_CONNECT;
        case UPSTREAM_FAILED:
            if (errno == EMFILE || errno == ENFILE) return conn_ends(conn, CLOSE_DESCRIPTORS);
            server_failed(conn, errno);
        }
    }
    conn_discard(conn);
    return conn_ends(conn, CLOSE_UPSTREAM_UNAVAILABLE);
}

enum conn_state action_proxy_start(struct conn *conn, const struct sight *sight)
{
    conn->upstream = conn->route->user;
    prefix_note(conn, sight);
    return CONN_CONNECT;
}

enum conn_state action_proxy_step_connect(struct conn *conn, unsigned wake)
{
    int error = 0;
    deadline_disarm(&conn->nap);
    if (wake & (CONN_WAKE_ENTER | CONN_WAKE_RETRY)) return try_servers(conn);
    if (wake & CONN_WAKE_SERVER_WRITE) {
        error = upstream_connect_result(conn->server_side.fd);
        if (error == 0) return connected(conn);
    } else if (wake & CONN_WAKE_DEADLINE) {
        error = ETIMEDOUT;
    } else {
        return CONN_CONNECT;
    }
    server_failed(conn, error);
    conn->server++;
    return try_servers(conn);
}
