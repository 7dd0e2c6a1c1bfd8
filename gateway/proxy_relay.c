#include "gateway/proxy_relay.h"

#include "gateway/worker.h"

#include <event2/event.h>

static enum conn_state move_up(struct conn *conn)
{
    uint64_t before = conn->up.bytes;
    enum relay_status status = relay_move(&conn->worker->relay, &conn->up, conn->client.fd, conn->server_side.fd);
    conn_count(conn, COUNTER_BYTES_IN, conn->up.bytes - before);
    if (status == RELAY_SOURCE_BROKEN) return conn_resets(conn, CLOSE_CLIENT_RESET);
    if (status == RELAY_SINK_BROKEN) return conn_resets(conn, CLOSE_UPSTREAM_RESET);
    return (enum conn_state)conn->state;
}

static enum conn_state move_down(struct conn *conn)
{
    uint64_t before = conn->down.bytes;
    enum relay_status status = relay_move(&conn->worker->relay, &conn->down, conn->server_side.fd, conn->client.fd);
    conn_count(conn, COUNTER_BYTES_OUT, conn->down.bytes - before);
    if (status == RELAY_SOURCE_BROKEN) return conn_resets(conn, CLOSE_UPSTREAM_RESET);
    if (status == RELAY_SINK_BROKEN) return conn_resets(conn, CLOSE_CLIENT_RESET);
    return (enum conn_state)conn->state;
}

static short interest(bool read, bool write)
{
    return (short)((read ? EV_READ : 0) | (write ? EV_WRITE : 0));
}

static enum conn_state move(struct conn *conn, unsigned wake, int64_t timeout_ms)
{
    enum conn_state next = (enum conn_state)conn->state;
    conn->up.last = conn->down.finished;
    if (wake & (CONN_WAKE_ENTER | CONN_WAKE_CLIENT_READ | CONN_WAKE_SERVER_WRITE)) next = move_up(conn);
    /* On entering, a server that has just been connected to has mostly said nothing yet. */
    conn->down.last = conn->up.finished;
    if (next != CONN_END && (wake & (CONN_WAKE_SERVER_READ | CONN_WAKE_CLIENT_WRITE))) next = move_down(conn);
    if (next == CONN_END) return CONN_END;
    if (conn->up.finished && conn->down.finished) return conn_ends(conn, CLOSE_DONE);
    conn_rearm(conn, timeout_ms);
    conn_watch_client(conn, interest(relay_wants_read(&conn->up), relay_wants_write(&conn->down)));
    conn_watch_server(conn, interest(relay_wants_read(&conn->down), relay_wants_write(&conn->up)));
    return next;
}

enum conn_state proxy_relay_step(struct conn *conn, unsigned wake)
{
    if (wake & CONN_WAKE_DEADLINE) return conn_ends(conn, CLOSE_IDLE_TIMEOUT);
    enum conn_state next = move(conn, wake, conn->worker->config->idle_timeout_ms);
    bool ended = conn->up.source_ended || conn->down.source_ended;
    return next == CONN_RELAY && ended ? CONN_HALF_CLOSED : next;
}

enum conn_state proxy_relay_step_half_closed(struct conn *conn, unsigned wake)
{
    if (wake & CONN_WAKE_DEADLINE) return conn_ends(conn, CLOSE_HALF_CLOSED_TIMEOUT);
    return move(conn, wake & ~(unsigned)CONN_WAKE_ENTER, conn->worker->config->half_closed_timeout_ms);
}
