#include "backend/terminated_listen.h"

#include "backend/admission.h"
#include "backend/backend_config.h"
#include "backend/gateway_socket.h"
#include "backend/shard.h"
#include "backend/terminated.h"
#include "lib/buf.h"
#include "lib/log.h"
#include "lib/pp2.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    TERMINATED_LISTEN_MAGIC = 0x7465726d,
    ARRIVAL_MAGIC = 0x61727276,
    ACCEPTS_PER_TURN = 64,
    RETRY_MS = 100,
    HEADER_MS = 5000,         /* gateways send it at once */
    HEADER_MAX_BYTES = 40960, /* with a chain of certificates, of which the gateway passes on 32 KiB at most */
    ARRIVALS_MAX = 1024,      /* waiting for their header; the oldest makes room */
};

/* A connection whose header is not complete.  Counted in backend->streams. */
struct arrival {
    unsigned magic;
    struct list link;
    struct terminated_listen *all;
    int fd; /* -1: it has become a stream */
    struct event *event;
    struct deadline deadline;
    struct buf header;
};

struct terminated_listen {
    unsigned magic;
    struct backend *backend;
    struct gateway_socket socket;
    struct event *event;
    struct list arrivals; /* the oldest first */
    unsigned arrival_count;
    struct deadline_queue *hurry;    /* arrivals */
    struct deadline_queue *reaccept; /* ourselves, when descriptors have run out */
    struct deadline accept_retry;
};

static void arrival_free(struct arrival *arrival)
{
    struct terminated_listen *all = arrival->all;
    list_remove(&arrival->link);
    all->arrival_count--;
    atomic_fetch_sub(&all->backend->streams, 1);
    deadline_disarm(&arrival->deadline);
    if (arrival->event) event_free(arrival->event);
    if (arrival->fd >= 0) close(arrival->fd);
    buf_free(&arrival->header);
    arrival->magic = 0;
    free(arrival);
}

static void fault(struct arrival *arrival, const char *why)
{
    counter_add(arrival->all->backend->counters, COUNTER_TERMINATED_FAULTS, 1);
    log_msg(LOG_LEVEL_WARN, "terminated_fault", "%s", why);
    arrival_free(arrival);
}

/* The header is complete: the connection becomes a stream. */
static void settle(struct arrival *arrival, const struct pp2 *pp)
{
    struct backend *backend = arrival->all->backend;
    const char *why = NULL;
    if (pp->local) { /* a health check */
        arrival_free(arrival);
        return;
    }
    struct terminated *terminated = terminated_read(pp, &why);
    if (!terminated) {
        fault(arrival, why);
        return;
    }
    char sni[GATEWAY_SNI_BYTES];
    struct stream_origin origin = {.fd = arrival->fd, .terminated = terminated};
    gateway_socket_describe(pp, &origin, sni);
    arrival->fd = -1;
    event_free(arrival->event); /* before anybody else watches the descriptor */
    arrival->event = NULL;
    arrival_free(arrival);
    counter_add(backend->counters, COUNTER_TERMINATED, 1);
    admission_take(backend, &origin);
}

/* How long the header is as far as can be told: never more than that is read, for what follows is the stream's. */
static size_t header_bytes(const struct buf *header)
{
    const uint8_t *p = buf_data(header);
    if (buf_len(header) < PP2_HEADER_BYTES) return PP2_HEADER_BYTES;
    return PP2_HEADER_BYTES + ((size_t)p[14] << 8 | p[15]);
}

/* false: no more now, and arrival may be gone. */
static bool read_more(struct arrival *arrival)
{
    struct buf *header = &arrival->header;
    const size_t want = header_bytes(header) - buf_len(header);
    const ssize_t got = recv(arrival->fd, buf_reserve(header, want), want, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (got <= 0) {
        /* who says nothing at all only looks whether we are there */
        if (buf_len(header) == 0)
            arrival_free(arrival);
        else
            fault(arrival, "the connection ended in its header");
        return false;
    }
    buf_commit(header, (size_t)got);
    struct pp2 pp;
    const char *why = NULL;
    const ssize_t used = pp2_decode(buf_data(header), buf_len(header), &pp, &why);
    if (used == 0 && header_bytes(header) <= HEADER_MAX_BYTES) return true;
    if (used > 0)
        settle(arrival, &pp);
    else
        fault(arrival, used < 0 ? why : "a header that is too long");
    return false;
}

static void on_header(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct arrival *arrival = arg;
    CHECK_MAGIC(arrival, ARRIVAL_MAGIC);
    while (read_more(arrival)) {}
}

static void on_hurry(struct deadline *deadline, void *arg)
{
    (void)arg;
    struct arrival *arrival = CONTAINER_OF(deadline, struct arrival, deadline);
    CHECK_MAGIC(arrival, ARRIVAL_MAGIC);
    fault(arrival, "no header in time");
}

static void arrive(struct terminated_listen *all, int fd)
{
    if (all->arrival_count >= ARRIVALS_MAX)
        fault(LIST_ENTRY(all->arrivals.next, struct arrival, link), "too many wait for their header");
    struct arrival *arrival = MEM_NEW(struct arrival);
    arrival->magic = ARRIVAL_MAGIC;
    arrival->all = all;
    arrival->fd = fd;
    arrival->event = event_new(event_get_base(all->event), fd, EV_READ | EV_PERSIST, on_header, arrival);
    CHECK(arrival->event && event_add(arrival->event, NULL) == 0);
    list_append(&all->arrivals, &arrival->link);
    all->arrival_count++;
    atomic_fetch_add(&all->backend->streams, 1);
    deadline_arm(all->hurry, &arrival->deadline);
}

static void rest(struct terminated_listen *all)
{
    event_del(all->event);
    deadline_arm(all->reaccept, &all->accept_retry);
}

/* false: nothing more to accept now. */
static bool accept_one(struct terminated_listen *all)
{
    struct backend *backend = all->backend;
    if (!admission_has_room(backend)) {
        rest(all);
        return false;
    }
    const int fd = accept4(all->socket.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EAGAIN) return false;
        if (errno == EINTR || errno == ECONNABORTED) return true;
        counter_add(backend->counters, COUNTER_ACCEPT_FAULTS, 1);
        rest(all);
        return false;
    }
    if (gateway_socket_is_allowed(&all->socket, fd)) {
        arrive(all, fd);
        return true;
    }
    counter_add(backend->counters, COUNTER_TERMINATED_STRANGERS, 1);
    log_msg(LOG_LEVEL_WARN, "terminated_stranger", "a user who is not gateway-user connected");
    close(fd);
    return true;
}

static void on_gateway(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct terminated_listen *all = arg;
    CHECK_MAGIC(all, TERMINATED_LISTEN_MAGIC);
    for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++)
        if (!accept_one(all)) return;
}

static void on_reaccept(struct deadline *deadline, void *arg)
{
    (void)deadline;
    struct terminated_listen *all = arg;
    CHECK_MAGIC(all, TERMINATED_LISTEN_MAGIC);
    event_add(all->event, NULL);
}

struct terminated_listen *terminated_listen_open(const struct backend_config *config, char *why, size_t cap)
{
    struct gateway_socket opened;
    if (gateway_socket_open(&opened, config, "terminated.sock", SOCK_STREAM, why, cap) != 0) return NULL;
    struct terminated_listen *all = MEM_NEW(struct terminated_listen);
    all->magic = TERMINATED_LISTEN_MAGIC;
    all->socket = opened;
    list_init(&all->arrivals);
    return all;
}

void terminated_listen_start(struct terminated_listen *all, struct backend *backend)
{
    struct loop *loop = backend->shards[0]->loop;
    const int64_t auth_ms = backend->config->auth_timeout_ms;
    all->backend = backend;
    all->hurry = deadline_queue_new(loop, auth_ms < HEADER_MS ? auth_ms : HEADER_MS, on_hurry, all);
    all->reaccept = deadline_queue_new(loop, RETRY_MS, on_reaccept, all);
    all->event = event_new(loop_base(loop), all->socket.fd, EV_READ | EV_PERSIST, on_gateway, all);
    CHECK(all->event && event_add(all->event, NULL) == 0);
}

void terminated_listen_free(struct terminated_listen **listen)
{
    struct terminated_listen *all = *listen;
    if (!all) return;
    CHECK_MAGIC(all, TERMINATED_LISTEN_MAGIC);
    *listen = NULL;
    LIST_EACH (link, &all->arrivals) {
        arrival_free(LIST_ENTRY(link, struct arrival, link));
    }
    if (all->event) event_free(all->event);
    deadline_queue_free(&all->hurry);
    deadline_queue_free(&all->reaccept);
    gateway_socket_close(&all->socket);
    all->magic = 0;
    free(all);
}
