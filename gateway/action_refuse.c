#include "gateway/action_refuse.h"

#include "gateway/refusal.h"
#include "gateway/secure.h"
#include "lib/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>

enum {
    DROP_STEP_BYTES = 64 * 1024,
    DROP_MAX_BYTES = 1024 * 1024, /* beyond it nothing more is read, and the client's socket fills up */
};

bool action_refuse_waits(const struct route *route, struct sight *sight)
{
    return route->action == ROUTE_REFUSE && refusal_look(route->refusal, sight) == PROBE_MORE;
}

enum conn_state action_refuse_start(struct conn *conn, const struct sight *sight)
{
    const struct refusal *refusal = conn->route->refusal;
    struct sight copy = *sight;
    if (refusal->reset) return conn_resets(conn, CLOSE_REFUSED);
    if (refusal_look(refusal, &copy) != PROBE_MATCH) {
        conn_discard(conn);
        return conn_ends(conn, CLOSE_REFUSED);
    }
    struct refusal_answer answer;
    answer.len = 0;
    refusal->compose(&copy, &answer);
    conn->header = mem_alloc(answer.len);
    conn->header_len = (uint32_t)answer.len;
    memcpy(conn->header, answer.data, answer.len);
    conn->reason = CLOSE_REFUSED;
    return CONN_REFUSE;
}

enum conn_state action_refuse_linger(struct conn *conn, enum close_reason reason)
{
    conn->reason = (uint8_t)reason;
    (void)shutdown(conn->client.fd, SHUT_WR);
    return CONN_REFUSE;
}

static bool is_for_later(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

/* Returns the bytes that were taken, or -1 when the connection is broken. */
static ssize_t send_some(const struct conn *conn)
{
    if (conn->secure != NULL) return secure_send(conn->secure, conn->header, conn->header_len);
    ssize_t n = send(conn->client.fd, conn->header, conn->header_len, MSG_NOSIGNAL | MSG_DONTWAIT);
    return n < 0 && is_for_later(errno) ? 0 : n;
}

/* Send what is left of the answer, and its end behind the last byte.  Returns -1 when the connection is broken. */
static int send_answer(struct conn *conn)
{
    if (conn->header_len == 0) return 0;
    ssize_t n = send_some(conn);
    if (n <= 0) return (int)n;
    conn->header_len -= (uint32_t)n;
    conn->down.bytes += (uint64_t)n;
    memmove(conn->header, conn->header + n, conn->header_len);
    if (conn->header_len > 0) return 0;
    if (conn->reason == CLOSE_REFUSED) conn_count(conn, COUNTER_REFUSALS_SENT, 1);
    if (conn->secure == NULL) return shutdown(conn->client.fd, SHUT_WR);
    secure_end(conn->secure);
    return 0;
}

/* Returns 1 when more may come, 0 at the client's end, -1 when the connection is broken. */
static int drop_input(struct conn *conn)
{
    ssize_t n = recv(conn->client.fd, NULL, DROP_STEP_BYTES, MSG_DONTWAIT | MSG_TRUNC);
    if (n < 0) return is_for_later(errno) ? 1 : -1;
    conn->up.bytes += (uint64_t)n;
    return n > 0 ? 1 : 0;
}

enum conn_state action_refuse_step(struct conn *conn, unsigned wake)
{
    const enum close_reason reason = (enum close_reason)conn->reason;
    if (wake & CONN_WAKE_DEADLINE) {
        if (conn->reason == CLOSE_REFUSED) conn_count(conn, COUNTER_REFUSALS_CUT, 1);
        conn->reset = conn->header_len > 0;
        conn_discard(conn);
        return conn_ends(conn, reason);
    }
    if (send_answer(conn) < 0) return conn_resets(conn, CLOSE_CLIENT_RESET);
    int dropped = drop_input(conn);
    if (dropped < 0) return conn_resets(conn, conn->header_len > 0 ? CLOSE_CLIENT_RESET : reason);
    bool sent = conn->header_len == 0;
    if (dropped == 0 && sent) return conn_ends(conn, reason);
    bool read = dropped > 0 && conn->up.bytes < DROP_MAX_BYTES;
    conn_watch_client(conn, (short)((read ? EV_READ : 0) | (sent ? 0 : EV_WRITE)));
    return CONN_REFUSE;
}
