#include "gateway/action_terminate.h"

#include "gateway/action_refuse.h"
#include "gateway/clienthello.h"
#include "gateway/limits.h"
#include "gateway/peek.h"
#include "gateway/probing.h"
#include "gateway/secure.h"
#include "gateway/tls_service.h"
#include "gateway/worker.h"

#include <event2/event.h>
#include <openssl/ssl.h>
#include <string.h>

/* Each look is at all of the bytes, so who sends them one by one waits for the next one, as in peek.c. */
enum { EAGER_LOOKS = 16 };

enum conn_state action_terminate_start(struct conn *conn, const struct sight *sight)
{
    (void)sight;
    SSL *ssl = tls_service_accept(conn->route->user, conn->client.fd);
    if (ssl == NULL) return conn_resets(conn, CLOSE_TLS_FAILED);
    conn->secure = secure_new(conn->route->user, ssl, conn->client.fd);
    probing_wait(conn, 0);
    return CONN_TLS_HANDSHAKE;
}

enum conn_state action_terminate_broken(struct conn *conn)
{
    const struct secure *secure = conn->secure;
    bool relaying = conn->server_side.fd >= 0;
    probing_leave(conn);
    limits_decided(conn);
    conn->reset = true;
    conn_close_server(conn);
    if (secure->wire.alert_sent) {
        conn->reset = false;
        return action_refuse_linger(conn, CLOSE_TLS_FAILED);
    }
    /* All has been said to it, and who is answered often just hangs up. */
    if (relaying && secure_is_cut(secure) && conn->down.finished) {
        conn->reset = false;
        return conn_ends(conn, CLOSE_DONE);
    }
    if (secure->wire.by_socket) return conn_ends(conn, CLOSE_CLIENT_RESET);
    if (!secure->settled || !secure_is_cut(secure)) return conn_ends(conn, CLOSE_TLS_FAILED);
    return conn_ends(conn, relaying || buf_len(&secure->ahead) > 0 ? CLOSE_TLS_CUT : CLOSE_PEEK_EOF);
}

static struct route_query query_of(const struct conn *conn)
{
    return (struct route_query){.listener = conn->listener->name,
                                .source = &conn->peer,
                                .destination = &conn->local,
                                .inside = tls_service_config(conn->secure->service)->name};
}

/* The ALPN name that is agreed on must be one that a route inside serves for this very client. */
static enum wire_result shake_hands(struct conn *conn)
{
    SSL *ssl = conn->secure->wire.ssl;
    const struct route_query query = query_of(conn);
    tls_service_set_query(ssl, &query);
    enum wire_result result = wire_handshake(&conn->secure->wire);
    tls_service_set_query(ssl, NULL);
    return result;
}

/* What the handshake has come to, which the names in routes inside are about. */
static void fill_hello(const struct conn *conn, struct clienthello *hello)
{
    SSL *ssl = conn->secure->wire.ssl;
    const unsigned char *alpn = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(ssl, &alpn, &len);
    clienthello_negotiated(hello, SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name), alpn, len,
                           (uint16_t)SSL_version(ssl));
}

/* Of half a hello, or one that we hold to be malformed, the names are known only now: upstreams and the log want them.
 */
static void remember_names(struct conn *conn)
{
    struct sight sight = {.hello_done = true};
    fill_hello(conn, &sight.hello);
    conn_remember(conn, &sight);
}

enum conn_state action_terminate_step_handshake(struct conn *conn, unsigned wake)
{
    /* Half a handshake says nothing that could be answered. */
    if (wake & CONN_WAKE_DEADLINE) {
        conn_discard(conn);
        return conn_ends(conn, conn->hurried ? CLOSE_PROBING_HURRIED : CLOSE_TLS_TIMEOUT);
    }
    switch (shake_hands(conn)) {
    case WIRE_OK:
        conn_count(conn, COUNTER_TLS_HANDSHAKES, 1);
        if (SSL_session_reused(conn->secure->wire.ssl)) conn_count(conn, COUNTER_TLS_RESUMED, 1);
        conn->secure->settled = true;
        if (conn->names == NULL) remember_names(conn);
        conn->looks = 0;
        return CONN_TLS_INSIDE;
    case WIRE_WANT_READ:
        conn_watch_client(conn, EV_READ);
        return CONN_TLS_HANDSHAKE;
    case WIRE_WANT_WRITE:
        conn_watch_client(conn, EV_WRITE);
        return CONN_TLS_HANDSHAKE;
    case WIRE_END:
    case WIRE_BROKEN:
        break;
    }
    return action_terminate_broken(conn);
}

/* Reads up to peek-limit.  WIRE_WANT_READ and WIRE_WANT_WRITE: that is all for now; WIRE_OK: the limit is reached. */
static enum wire_result read_ahead(struct conn *conn)
{
    struct secure *secure = conn->secure;
    size_t cap = conn->worker->config->peek_limit_bytes;
    uint8_t *buffer = conn->worker->relay.buffer;
    while (buf_len(&secure->ahead) < cap) {
        size_t room = cap - buf_len(&secure->ahead), got = 0;
        enum wire_result result =
            wire_read(&secure->wire, buffer, room < RELAY_BUFFER_BYTES ? room : RELAY_BUFFER_BYTES, &got);
        if (result != WIRE_OK) return result;
        buf_append(&secure->ahead, buffer, got);
    }
    return WIRE_OK;
}

static enum conn_state wait_for_more(struct conn *conn, enum wire_result result, bool grew)
{
    probing_wait(conn, buf_len(&conn->secure->ahead));
    if (grew && conn->looks == EAGER_LOOKS) {
        conn_watch_client(conn, 0);
        deadline_arm(conn->worker->nap_queue, &conn->nap);
        return CONN_TLS_INSIDE;
    }
    if (grew) conn->looks++;
    conn_watch_client(conn, result == WIRE_WANT_WRITE ? EV_WRITE : EV_READ);
    return CONN_TLS_INSIDE;
}

/* Whether there are any decides how long an operator keeps terminating the name of a website. */
static void count_xmpp(struct conn *conn)
{
    bool xmpp = conn->protocol != NULL && strcmp(conn->protocol, "xmpp") == 0;
    if (xmpp && conn_alpn(conn) == NULL) conn_count(conn, COUNTER_XMPP_WITHOUT_ALPN, 1);
}

enum conn_state action_terminate_step_inside(struct conn *conn, unsigned wake)
{
    struct secure *secure = conn->secure;
    size_t before = buf_len(&secure->ahead);
    deadline_disarm(&conn->nap);
    enum wire_result result = read_ahead(conn);
    if (result == WIRE_BROKEN) return action_terminate_broken(conn);
    size_t len = buf_len(&secure->ahead);
    if (result == WIRE_END && len == 0) return conn_ends(conn, CLOSE_PEEK_EOF);
    bool final = (wake & CONN_WAKE_DEADLINE) || result == WIRE_END || result == WIRE_OK;
    if (len == before && !final) return wait_for_more(conn, result, false);
    struct clienthello hello;
    fill_hello(conn, &hello);
    const uint8_t nothing = 0;
    struct sight sight = {.data = len > 0 ? buf_data(&secure->ahead) : &nothing, .len = len, .final = final};
    struct route_query query = query_of(conn);
    query.negotiated = &hello;
    switch (peek_route(conn, &sight, &query)) {
    case ROUTE_FOUND:
        count_xmpp(conn);
        return peek_act(conn, &sight);
    case ROUTE_NONE:
        return peek_no_route(conn, &sight);
    case ROUTE_MORE:
        break;
    }
    return wait_for_more(conn, result, true);
}

void action_terminate_log(const struct conn *conn, struct log_line *line)
{
    if (conn->secure == NULL) return;
    SSL *ssl = conn->secure->wire.ssl;
    static const char PREFIX[] = "tls: ";
    const char *why = conn->secure->wire.why;
    char alpn[256];
    log_str(line, "tls", tls_service_config(conn->secure->service)->name);
    if (conn->secure->settled) {
        log_str(line, "tls_version", SSL_get_version(ssl));
        log_str(line, "tls_cipher", SSL_get_cipher_name(ssl));
        log_str(line, "tls_alpn", tls_service_alpn(ssl, alpn));
        log_str(line, "tls_resumed", SSL_session_reused(ssl) ? "true" : NULL);
    }
    if (why != NULL) log_str(line, "tls_error", strncmp(why, PREFIX, strlen(PREFIX)) == 0 ? why + strlen(PREFIX) : why);
}
