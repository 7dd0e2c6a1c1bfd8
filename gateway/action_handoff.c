#include "gateway/action_handoff.h"

#include "gateway/action_proxy.h"
#include "gateway/inlet_link.h"
#include "gateway/worker.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/pp2.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum {
    RETRY_MS = 100,
    HEADER_MAX_BYTES = 2048, /* addresses, id, a name of 255 bytes, an offer of 512 */
};

static void retry_later(struct handoff *handoff)
{
    const struct timeval delay = {.tv_usec = RETRY_MS * 1000L};
    if (!evtimer_pending(handoff->retry, NULL)) evtimer_add(handoff->retry, &delay);
}

static uint64_t all_inlets(const struct handoff_config *config)
{
    return config->inlet_count < BALANCE_SERVERS_MAX ? (UINT64_C(1) << config->inlet_count) - 1 : UINT64_MAX;
}

/* Each inlet is asked once.  False: wait; what wakes us is set up. */
static bool send_socket(struct handoff *handoff, struct conn *conn)
{
    enum balance how = handoff->config->balance;
    uint64_t source = how == BALANCE_SOURCE_HASH ? balance_source(&conn->peer) : 0;
    for (uint64_t left = all_inlets(handoff->config); left != 0;) {
        size_t i = balance_choose(how, handoff->balance, left, source);
        switch (inlet_link_send(&handoff->links[i], conn->client.fd, conn->header, conn->header_len)) {
        case INLET_LINK_SENT:
            conn->server = (uint32_t)i;
            handoff->missed = false;
            return true;
        case INLET_LINK_GONE:
            retry_later(handoff);
            break;
        case INLET_LINK_BUSY:
            break;
        }
        left &= ~(UINT64_C(1) << i);
    }
    return false;
}

/* Oldest first, until one has to go on waiting. */
static void flush_waiting(void *arg)
{
    struct handoff *handoff = arg;
    struct list *first;
    while ((first = list_first(&handoff->waiting)) != NULL) {
        conn_drive(LIST_ENTRY(first, struct conn_wait, link)->conn, CONN_WAKE_RETRY);
        if (list_first(&handoff->waiting) == first) return;
    }
    for (size_t i = 0; i < handoff->config->inlet_count; i++)
        inlet_link_rest(&handoff->links[i]);
    evtimer_del(handoff->retry);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    flush_waiting(arg);
}

void action_handoff_init(struct handoff *handoff, const struct handoff_config *config, struct loop *loop,
                         struct deadline_queue *queue, struct upstream *fallback)
{
    *handoff = (struct handoff){.config = config, .queue = queue, .fallback = fallback};
    handoff->links = mem_alloc(config->inlet_count * sizeof(*handoff->links));
    handoff->balance = mem_alloc(config->inlet_count * sizeof(*handoff->balance));
    for (size_t i = 0; i < config->inlet_count; i++) {
        inlet_link_init(&handoff->links[i], &config->inlets[i], loop_base(loop), flush_waiting, handoff);
        handoff->balance[i] = (struct balance_server){.seed = balance_seed(config->inlets[i].un.sun_path), .weight = 1};
    }
    handoff->retry = evtimer_new(loop_base(loop), on_retry, handoff);
    CHECK(handoff->retry != NULL);
    list_init(&handoff->waiting);
}

void action_handoff_close(struct handoff *handoff)
{
    for (size_t i = 0; i < handoff->config->inlet_count; i++)
        inlet_link_close(&handoff->links[i]);
    free(handoff->links);
    free(handoff->balance);
    event_free(handoff->retry);
    deadline_queue_free(&handoff->queue);
}

static void add_tlv(struct pp2 *pp, enum pp2_tlv_type type, const void *value, size_t len)
{
    if (len == 0) return;
    pp->tlvs[pp->tlv_count++] = (struct pp2_tlv){.type = (uint8_t)type, .len = (uint16_t)len, .value = value};
}

static void make_header(struct conn *conn, const struct sight *sight)
{
    struct pp2 pp = {.src = conn->peer, .dst = conn->local};
    char id[CONN_ID_BYTES];
    uint8_t header[HEADER_MAX_BYTES];
    add_tlv(&pp, PP2_TLV_UNIQUE_ID, conn_id(conn, id), CONN_ID_BYTES - 1);
    if (sight->hello_done) {
        add_tlv(&pp, PP2_TLV_AUTHORITY, sight->hello.sni, strlen(sight->hello.sni));
        add_tlv(&pp, PP2_TLV_POSTERN_ALPN_OFFER, sight->hello.alpn, sight->hello.alpn_len);
    }
    ssize_t len = pp2_encode(&pp, header, sizeof(header));
    CHECK(len > 0);
    conn->header_len = (uint32_t)len;
    conn->header = mem_alloc((size_t)len);
    memcpy(conn->header, header, (size_t)len);
}

enum conn_state action_handoff_start(struct conn *conn, const struct sight *sight)
{
    struct handoff *handoff = conn->route->user;
    conn->handoff = handoff;
    make_header(conn, sight);
    /* Those who wait already come first. */
    if (list_empty(&handoff->waiting) && send_socket(handoff, conn)) return conn_ends(conn, CLOSE_HANDED_OFF);
    /* Once one has waited in vain, the next ones only ask. */
    if (handoff->fallback != NULL && handoff->missed) return action_proxy_fall_back(conn, handoff->fallback);
    list_append(&handoff->waiting, &conn_wait(conn)->link);
    return CONN_HANDOFF_WAIT;
}

static enum conn_state give_up(struct conn *conn)
{
    struct handoff *handoff = conn->handoff;
    handoff->missed = true;
    conn_wait_done(conn);
    if (handoff->fallback != NULL) return action_proxy_fall_back(conn, handoff->fallback);
    conn_discard(conn);
    return conn_ends(conn, CLOSE_BACKEND_UNAVAILABLE);
}

enum conn_state action_handoff_step(struct conn *conn, unsigned wake)
{
    if (wake & CONN_WAKE_DEADLINE) return give_up(conn);
    if ((wake & CONN_WAKE_RETRY) == 0 || !send_socket(conn->handoff, conn)) return CONN_HANDOFF_WAIT;
    conn_wait_done(conn);
    return conn_ends(conn, CLOSE_HANDED_OFF);
}
