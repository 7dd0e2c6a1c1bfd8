#include "gateway/action_handoff.h"

#include "gateway/worker.h"
#include "lib/fdpass.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/pp2.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    RETRY_MS = 100,
    HEADER_MAX_BYTES = 2048, /* addresses, id, a name of 255 bytes, an offer of 512 */
    /* Sockets in flight are lost if the backend dies: a small queue keeps them few. */
    QUEUE_BYTES = 64 * 1024,
};

static void flush_waiting(struct handoff *handoff);

static void unwatch(struct handoff *handoff)
{
    if (handoff->watched != 0) event_free(handoff->event);
    handoff->event = NULL;
    handoff->watched = 0;
}

static void disconnect(struct handoff *handoff)
{
    if (handoff->fd < 0) return;
    unwatch(handoff);
    close(handoff->fd);
    handoff->fd = -1;
}

/* The backend never writes: readable means that it is gone.  Noticing it now keeps sockets out of a dead queue. */
static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct handoff *handoff = arg;
    char byte;
    if (what & EV_READ) {
        ssize_t n = recv((int)fd, &byte, 1, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) disconnect(handoff);
    }
    flush_waiting(handoff);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    flush_waiting(arg);
}

static void watch(struct handoff *handoff, short what)
{
    if (handoff->watched == what) return;
    unwatch(handoff);
    handoff->event = event_new(loop_base(handoff->loop), handoff->fd, (short)(what | EV_PERSIST), on_event, handoff);
    CHECK(handoff->event != NULL);
    event_add(handoff->event, NULL);
    handoff->watched = what;
}

static void retry_later(struct handoff *handoff)
{
    const struct timeval delay = {.tv_usec = RETRY_MS * 1000L};
    if (!evtimer_pending(handoff->retry, NULL)) evtimer_add(handoff->retry, &delay);
}

static bool connect_inlet(struct handoff *handoff)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    const int queue = QUEUE_BYTES;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &queue, sizeof(queue));
    if (connect(fd, &handoff->config->inlet.sa, handoff->config->inlet.len) < 0) {
        close(fd);
        return false;
    }
    handoff->fd = fd;
    watch(handoff, EV_READ);
    return true;
}

/* One attempt, with one new connection if the old one turns out to be dead.  False: wait; what wakes us is set up. */
static bool send_socket(struct handoff *handoff, const struct conn *conn)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        if (handoff->fd < 0 && !connect_inlet(handoff)) break;
        if (fdpass_send(handoff->fd, conn->client.fd, conn->header, conn->header_len) == 0) {
            watch(handoff, EV_READ);
            return true;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            watch(handoff, EV_READ | EV_WRITE);
            return false;
        }
        /* Too many descriptors in flight, or no memory: the socket is writable nevertheless, so only time helps. */
        if (errno == ETOOMANYREFS || errno == ENOBUFS || errno == ENOMEM) break;
        disconnect(handoff);
    }
    if (handoff->fd >= 0) watch(handoff, EV_READ);
    retry_later(handoff);
    return false;
}

/* Oldest first, until one has to go on waiting. */
static void flush_waiting(struct handoff *handoff)
{
    struct list *first;
    while ((first = list_first(&handoff->waiting)) != NULL) {
        conn_drive(LIST_ENTRY(first, struct conn_wait, link)->conn, CONN_WAKE_RETRY);
        if (list_first(&handoff->waiting) == first) return;
    }
    if (handoff->fd >= 0) watch(handoff, EV_READ);
    evtimer_del(handoff->retry);
}

void action_handoff_init(struct handoff *handoff, const struct handoff_config *config, struct loop *loop,
                         struct deadline_queue *queue)
{
    handoff->config = config;
    handoff->loop = loop;
    handoff->queue = queue;
    handoff->fd = -1;
    handoff->retry = evtimer_new(loop_base(loop), on_retry, handoff);
    CHECK(handoff->retry != NULL);
    list_init(&handoff->waiting);
}

void action_handoff_close(struct handoff *handoff)
{
    disconnect(handoff);
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
    conn->handoff = conn->route->user;
    make_header(conn, sight);
    /* Those who wait already come first. */
    if (list_empty(&conn->handoff->waiting) && send_socket(conn->handoff, conn))
        return conn_ends(conn, CLOSE_HANDED_OFF);
    list_append(&conn->handoff->waiting, &conn_wait(conn)->link);
    return CONN_HANDOFF_WAIT;
}

enum conn_state action_handoff_step(struct conn *conn, unsigned wake)
{
    enum conn_state next = CONN_HANDOFF_WAIT;
    if (wake & CONN_WAKE_DEADLINE) {
        conn_discard(conn);
        next = conn_ends(conn, CLOSE_BACKEND_UNAVAILABLE);
    } else if ((wake & CONN_WAKE_RETRY) && send_socket(conn->handoff, conn)) {
        next = conn_ends(conn, CLOSE_HANDED_OFF);
    }
    if (next == CONN_END) conn_wait_done(conn);
    return next;
}
