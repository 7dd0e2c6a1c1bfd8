#include "gateway/clients.h"

#include <string.h>

static enum gateway_counter protocol_row(const struct conn *conn, const struct sight *sight)
{
    static const struct {
        const char *name;
        enum gateway_counter row;
    } ROWS[] = {{"tls", COUNTER_CLIENT_TLS},
                {"http", COUNTER_CLIENT_HTTP},
                {"http2", COUNTER_CLIENT_HTTP2},
                {"xmpp", COUNTER_CLIENT_XMPP},
                {"ssh", COUNTER_CLIENT_SSH}};
    if (sight->len == 0) return COUNTER_CLIENT_SILENT;
    if (conn->protocol == NULL) return COUNTER_CLIENT_UNKNOWN;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        if (strcmp(ROWS[i].name, conn->protocol) == 0) return ROWS[i].row;
    return COUNTER_CLIENT_PATTERN;
}

static enum gateway_counter alpn_row(const uint8_t *name, size_t len)
{
    static const struct {
        const char *name;
        enum gateway_counter row;
    } ROWS[] = {{"h2", COUNTER_ALPN_H2},
                {"http/1.1", COUNTER_ALPN_HTTP11},
                {"xmpp-client", COUNTER_ALPN_XMPP_CLIENT},
                {"xmpp-server", COUNTER_ALPN_XMPP_SERVER},
                {"acme-tls/1", COUNTER_ALPN_ACME}};
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        if (strlen(ROWS[i].name) == len && memcmp(ROWS[i].name, name, len) == 0) return ROWS[i].row;
    return COUNTER_ALPN_OTHER;
}

/* Each name once, however often it is offered. */
static void count_alpn(struct conn *conn, const struct clienthello *hello)
{
    uint64_t rows = 0;
    _Static_assert(COUNTER_ALPN_OTHER < 64, "a set of rows is a bit mask");
    if (hello->alpn_len == 0) conn_count(conn, COUNTER_ALPN_NONE, 1);
    for (size_t at = 0; at < hello->alpn_len; at += 1 + (size_t)hello->alpn[at]) {
        enum gateway_counter row = alpn_row(hello->alpn + at + 1, hello->alpn[at]);
        if ((rows & UINT64_C(1) << row) == 0) conn_count(conn, row, 1);
        rows |= UINT64_C(1) << row;
    }
}

static void count_hello(struct conn *conn, const struct sight *sight)
{
    const struct clienthello *hello = &sight->hello;
    enum gateway_counter version = COUNTER_HELLO_TLS_OLDER;
    if (hello->version_max >= 0x0303) version = COUNTER_HELLO_TLS12;
    if (hello->version_max >= 0x0304) version = COUNTER_HELLO_TLS13;
    conn_count(conn, version, 1);
    count_alpn(conn, hello);
    if (!hello->has_sni) conn_count(conn, COUNTER_HELLO_NO_SNI, 1);
    if (hello->has_ech) conn_count(conn, COUNTER_HELLO_ECH, 1);
    if (conn->seen > 0 && conn->seen < sight->len) conn_count(conn, COUNTER_HELLO_FRAGMENTED, 1);
}

void clients_count(struct conn *conn, const struct sight *sight)
{
    conn_count(conn, protocol_row(conn, sight), 1);
    if (sight->hello_done) count_hello(conn, sight);
    if (sight->hello_partial) conn_count(conn, COUNTER_HELLO_PARTIAL, 1);
}
