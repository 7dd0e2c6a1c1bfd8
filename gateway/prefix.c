#include "gateway/prefix.h"

#include "gateway/prefix_tls.h"
#include "gateway/secure.h"
#include "gateway/upstream.h"
#include "gateway/worker.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/pp2.h"

#include <stdlib.h>
#include <string.h>

/* Servers read the header into small buffers: nginx before 1.23 takes 107 bytes, the longest of version 1, for
 * version 2 as well.  What does not fit is left out, the server name first: the server finds it in the hello. */
enum { SHORT_MAX_BYTES = 107 };

static void add_tlv(struct pp2 *pp, enum pp2_tlv_type type, const void *value, size_t len)
{
    if (len == 0) return;
    pp->tlvs[pp->tlv_count++] = (struct pp2_tlv){.type = (uint8_t)type, .len = (uint16_t)len, .value = value};
}

static void add_text(struct pp2 *pp, enum pp2_tlv_type type, const char *text)
{
    if (text != NULL) add_tlv(pp, type, text, strlen(text));
}

static void queue_v1(struct conn *conn, const struct pp2 *pp)
{
    char line[PP1_MAX_BYTES];
    relay_queue(&conn->up, line, pp1_encode(pp, line));
}

static void queue_short(struct conn *conn, struct pp2 *pp)
{
    uint8_t header[SHORT_MAX_BYTES];
    ssize_t len = pp2_encode(pp, header, sizeof(header));
    while (len < 0) {
        CHECK(pp->tlv_count > 0);
        pp->tlv_count--;
        len = pp2_encode(pp, header, sizeof(header));
    }
    relay_queue(&conn->up, header, (size_t)len);
}

static void queue_encoded(struct conn *conn, const struct pp2 *pp)
{
    uint8_t *header = conn->worker->relay.buffer;
    ssize_t len = pp2_encode(pp, header, RELAY_BUFFER_BYTES);
    CHECK(len > 0);
    relay_queue(&conn->up, header, (size_t)len);
}

static void queue_full(struct conn *conn, struct pp2 *pp)
{
    add_tlv(pp, PP2_TLV_POSTERN_ALPN_OFFER, conn->header, conn->header_len);
    if (conn->secure == NULL) {
        queue_encoded(conn, pp);
        return;
    }
    struct prefix_tls *values = MEM_NEW(struct prefix_tls);
    if (!prefix_tls_add(values, conn->secure->wire.ssl, pp)) {
        char id[CONN_ID_BYTES];
        log_msg(LOG_LEVEL_WARN, "chain_too_long", "conn %s: the client's certificates are not passed on: over %d bytes",
                conn_id(conn, id), (int)PREFIX_TLS_CHAIN_MAX_BYTES);
        conn_count(conn, COUNTER_CHAINS_DROPPED, 1);
    }
    queue_encoded(conn, pp);
    free(values);
}

/* Behind the header comes what the second look has decrypted already. */
static void queue_ahead(struct conn *conn)
{
    struct secure *secure = conn->secure;
    size_t len = buf_len(&secure->ahead);
    if (len > 0) relay_queue(&conn->up, buf_data(&secure->ahead), len);
    conn->up.bytes += len;
    conn_count(conn, COUNTER_BYTES_IN, len);
    buf_free(&secure->ahead);
}

void prefix_note(struct conn *conn, const struct sight *sight)
{
    if (conn->upstream->config->proxy_protocol != UPSTREAM_PROXY_V2_TLS) return;
    if (conn->secure != NULL || !sight->hello_done || sight->hello.alpn_len == 0) return;
    conn->header_len = (uint32_t)sight->hello.alpn_len;
    conn->header = mem_alloc(conn->header_len);
    memcpy(conn->header, sight->hello.alpn, conn->header_len);
}

void prefix_note_handoff(struct conn *conn)
{
    struct pp2 message;
    const char *why;
    CHECK(pp2_decode(conn->header, conn->header_len, &message, &why) > 0);
    const struct pp2_tlv *offer = pp2_find(&message, PP2_TLV_POSTERN_ALPN_OFFER);
    if (conn->upstream->config->proxy_protocol == UPSTREAM_PROXY_V2_TLS && offer != NULL) {
        memmove(conn->header, offer->value, offer->len);
        conn->header_len = offer->len;
        return;
    }
    free(conn->header);
    conn->header = NULL;
    conn->header_len = 0;
}

static void queue_header(struct conn *conn)
{
    if (conn->upstream->config->proxy_protocol == UPSTREAM_PROXY_NONE) return;
    struct pp2 pp = {.src = conn->peer, .dst = conn->local};
    char id[CONN_ID_BYTES];
    add_text(&pp, PP2_TLV_UNIQUE_ID, conn_id(conn, id));
    add_text(&pp, PP2_TLV_AUTHORITY, conn_sni(conn));
    switch (conn->upstream->config->proxy_protocol) {
    case UPSTREAM_PROXY_NONE:
        break;
    case UPSTREAM_PROXY_V1:
        queue_v1(conn, &pp);
        break;
    case UPSTREAM_PROXY_V2:
        queue_short(conn, &pp);
        break;
    case UPSTREAM_PROXY_V2_TLS:
        queue_full(conn, &pp);
        break;
    }
    free(conn->header);
    conn->header = NULL;
    conn->header_len = 0;
}

void prefix_queue(struct conn *conn)
{
    queue_header(conn);
    if (conn->secure != NULL) queue_ahead(conn);
}
