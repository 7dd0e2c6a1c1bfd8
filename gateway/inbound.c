#include "gateway/inbound.h"

#include "gateway/limits.h"
#include "gateway/listener_config.h"
#include "gateway/peek.h"
#include "gateway/probing.h"
#include "gateway/worker.h"
#include "lib/log.h"
#include "lib/pp2.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

bool inbound_expects(const struct listener_config *listener, const struct addr *peer)
{
    return listener->proxy_from.count > 0 && cidr_set_holds(&listener->proxy_from, peer);
}

static bool begins(const struct sight *sight, const void *text, size_t len)
{
    return memcmp(sight->data, text, sight->len < len ? sight->len : len) == 0;
}

enum probe_verdict inbound_look(const struct listener_config *listener, const struct sight *sight)
{
    if (listener->proxy_from.count == 0 || sight->len == 0) return PROBE_NO;
    size_t len = 0;
    if (begins(sight, PP1_SIGNATURE, sizeof(PP1_SIGNATURE) - 1))
        len = sizeof(PP1_SIGNATURE) - 1;
    else if (begins(sight, PP2_SIGNATURE, PP2_SIGNATURE_BYTES))
        len = PP2_SIGNATURE_BYTES;
    if (len == 0) return PROBE_NO;
    if (sight->len >= len) return PROBE_MATCH;
    return sight->final ? PROBE_NO : PROBE_MORE;
}

static enum conn_state malformed(struct conn *conn, const char *why)
{
    char id[CONN_ID_BYTES];
    struct log_line line;
    log_begin(&line, LOG_LEVEL_WARN, "header_malformed");
    log_str(&line, "conn", conn_id(conn, id));
    log_addr(&line, "via", &conn->peer);
    log_str(&line, "listener", conn->listener->name);
    log_str(&line, "error", why);
    log_end(&line);
    return conn_resets(conn, CLOSE_HEADER_MALFORMED);
}

/* The peer trusts that the bytes behind the header are the client's: not one of them may go with it. */
static bool consume(int fd, size_t len)
{
    while (len > 0) {
        ssize_t n = recv(fd, NULL, len, MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        len -= (size_t)n;
    }
    return true;
}

/* Who is behind an unknown address, or behind none, is not told: the socket's own stay. */
static void take_addresses(struct conn *conn, const struct pp2 *header)
{
    const struct addr via = conn->peer;
    if (header->src.sa.sa_family != AF_UNSPEC) {
        conn->peer = header->src;
        conn->local = header->dst;
    }
    const struct pp2_tlv *unique = pp2_find(header, PP2_TLV_UNIQUE_ID);
    struct log_line line;
    char id[CONN_ID_BYTES];
    log_begin(&line, unique != NULL ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "header");
    log_str(&line, "conn", conn_id(conn, id));
    log_addr(&line, "via", &via);
    log_addr(&line, "peer", &conn->peer);
    if (unique != NULL) log_strn(&line, "unique_id", (const char *)unique->value, unique->len);
    log_end(&line);
}

static enum conn_state accept_header(struct conn *conn, const struct pp2 *header, size_t len)
{
    enum close_reason why = CLOSE_OVERLOAD;
    bool told = header->src.sa.sa_family != AF_UNSPEC;
    take_addresses(conn, header);
    if (!consume(conn->client.fd, len)) return conn_resets(conn, CLOSE_CLIENT_RESET);
    /* The balancer itself is nobody's source: it speaks for many, or checks whether we live. */
    if (told && !limits_admit_source(conn->worker, &conn->peer, &why)) return conn_resets(conn, why);
    if (told) limits_came(conn);
    peek_wait_beyond(conn->client.fd, 0);
    probing_leave(conn);
    conn->seen = 0;
    conn->looks = 0;
    conn->hurried = false; /* that was about the header */
    return CONN_PEEK;
}

enum conn_state inbound_step(struct conn *conn, unsigned wake)
{
    const uint8_t *data = conn->worker->peek_buffer;
    size_t cap = conn->worker->config->peek_limit_bytes, len = 0;
    const char *why = "the header has no end";
    struct pp2 header;
    deadline_disarm(&conn->nap);
    enum peek_look look = peek_look(conn->client.fd, conn->worker->peek_buffer, cap, conn->seen, &len);
    if (look == PEEK_BROKEN) return conn_resets(conn, CLOSE_CLIENT_RESET);
    if (look == PEEK_ENDED && len == 0) return conn_ends(conn, CLOSE_PEEK_EOF);
    if (look == PEEK_SAME && !(wake & CONN_WAKE_DEADLINE)) {
        peek_again(conn, wake, len);
        return CONN_INBOUND;
    }
    ssize_t whole = 0;
    if (len > 0)
        whole =
            data[0] == PP1_SIGNATURE[0] ? pp1_decode(data, len, &header, &why) : pp2_decode(data, len, &header, &why);
    if (whole > 0) return accept_header(conn, &header, (size_t)whole);
    if (whole < 0 || look == PEEK_ENDED || len >= cap) return malformed(conn, why);
    if (wake & CONN_WAKE_DEADLINE)
        return conn_resets(conn, conn->hurried ? CLOSE_PROBING_HURRIED : CLOSE_HEADER_TIMEOUT);
    peek_wait(conn, len);
    return CONN_INBOUND;
}
