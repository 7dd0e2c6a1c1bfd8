#include "gateway/proxy_relay.h"

#include "gateway/action_terminate.h"
#include "gateway/tls_relay.h"
#include "gateway/worker.h"

#include <event2/event.h>

static enum conn_state client_broken(struct conn *conn)
{
    return conn->secure != NULL ? action_terminate_broken(conn) : conn_resets(conn, CLOSE_CLIENT_RESET);
}

static enum conn_state move_up(struct conn *conn)
{
    uint64_t before = conn->up.bytes;
    struct relay_shared *shared = &conn->worker->relay;
    enum relay_status status = conn->secure != NULL
                                   ? tls_relay_up(shared, &conn->up, conn->secure, conn->server_side.fd)
                                   : relay_move(shared, &conn->up, conn->client.fd, conn->server_side.fd);
    conn_count(conn, COUNTER_BYTES_IN, conn->up.bytes - before);
    if (status == RELAY_SOURCE_BROKEN) return client_broken(conn);
    if (status == RELAY_SINK_BROKEN) return conn_resets(conn, CLOSE_UPSTREAM_RESET);
    return (enum conn_state)conn->state;
}

static enum conn_state move_down(struct conn *conn)
{
    uint64_t before = conn->down.bytes;
    struct relay_shared *shared = &conn->worker->relay;
    enum relay_status status = conn->secure != NULL
                                   ? tls_relay_down(shared, &conn->down, conn->secure, conn->server_side.fd)
                                   : relay_move(shared, &conn->down, conn->server_side.fd, conn->client.fd);
    conn_count(conn, COUNTER_BYTES_OUT, conn->down.bytes - before);
    if (status == RELAY_SOURCE_BROKEN) return conn_resets(conn, CLOSE_UPSTREAM_RESET);
    if (status == RELAY_SINK_BROKEN) return client_broken(conn);
    return (enum conn_state)conn->state;
}

static short interest(bool read, bool write)
{
    return (short)((read ? EV_READ : 0) | (write ? EV_WRITE : 0));
}

/* TLS may have to read before it can write, or write before it can read: then either is tried at either. */
static unsigned crossed(unsigned wake)
{
    return (wake & (CONN_WAKE_CLIENT_READ | CONN_WAKE_CLIENT_WRITE)) ? CONN_WAKE_CLIENT_READ | CONN_WAKE_CLIENT_WRITE
                                                                     : 0;
}

static void on_again(void *arg)
{
    conn_drive(arg, CONN_WAKE_CLIENT_READ);
}

static void watch(struct conn *conn)
{
    struct secure *secure = conn->secure;
    bool read = secure != NULL ? tls_relay_wants_read(secure, &conn->up) : relay_wants_read(&conn->up);
    bool write = secure != NULL ? tls_relay_wants_write(secure, &conn->down) : relay_wants_write(&conn->down);
    conn_watch_client(conn, interest(read, write));
    conn_watch_server(conn, interest(relay_wants_read(&conn->down), relay_wants_write(&conn->up)));
    if (secure == NULL || !secure->more || !read) return;
    secure->again.fn = on_again;
    secure->again.arg = conn;
    loop_defer(conn->worker->loop, &secure->again);
}

static enum conn_state move(struct conn *conn, unsigned wake, int64_t timeout_ms)
{
    const enum conn_state state = (enum conn_state)conn->state;
    enum conn_state next = state;
    if (conn->secure != NULL && (conn->secure->read_wants_write || conn->secure->write_wants_read))
        wake |= crossed(wake);
    conn->up.last = conn->down.finished;
    if (wake & (CONN_WAKE_ENTER | CONN_WAKE_CLIENT_READ | CONN_WAKE_SERVER_WRITE)) next = move_up(conn);
    /* On entering, a server that has just been connected to has mostly said nothing yet. */
    conn->down.last = conn->up.finished;
    if (next == state && (wake & (CONN_WAKE_SERVER_READ | CONN_WAKE_CLIENT_WRITE))) next = move_down(conn);
    if (next != state) return next;
    if (conn->up.finished && conn->down.finished) return conn_ends(conn, CLOSE_DONE);
    conn_rearm(conn, timeout_ms);
    watch(conn);
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
