#include "backend/arrival.h"

#include "backend/backend_config.h"
#include "backend/shard.h"
#include "lib/buf.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ARRIVALS_MAGIC = 0x61727276,
    ARRIVAL_MAGIC = 0x61727269,
    HEADER_MS = 5000,         /* who sends one sends it at once */
    HEADER_MAX_BYTES = 40960, /* with a chain of certificates, of which the gateway passes on 32 KiB at most */
    ARRIVALS_MAX = 1024,
};

struct arrival {
    unsigned magic;
    struct list link;
    struct arrivals *all;
    struct stream_origin origin; /* fd -1: it is somebody else's */
    unsigned kind;
    struct event *event;
    struct deadline deadline;
    struct buf header;
};

struct arrivals {
    unsigned magic;
    struct backend *backend;
    struct arrival_rules rules;
    void *arg;
    struct list waiting; /* the oldest first */
    unsigned count;
    struct deadline_queue *hurry;
};

static void arrival_free(struct arrival *arrival)
{
    struct arrivals *all = arrival->all;
    list_remove(&arrival->link);
    all->count--;
    atomic_fetch_sub(&all->backend->streams, 1);
    deadline_disarm(&arrival->deadline);
    if (arrival->event) event_free(arrival->event);
    if (arrival->origin.fd >= 0) close(arrival->origin.fd);
    buf_free(&arrival->header);
    arrival->magic = 0;
    free(arrival);
}

static void fail(struct arrival *arrival, const char *why)
{
    arrival->all->rules.failed(arrival->all->arg, &arrival->origin, why);
    arrival_free(arrival);
}

/* Nobody watches the descriptor, and it does not count here, when it becomes somebody else's. */
static void settle(struct arrival *arrival, const struct pp2 *header)
{
    struct arrivals *all = arrival->all;
    struct stream_origin origin = arrival->origin;
    const unsigned kind = arrival->kind;
    struct buf borrowed = arrival->header; /* by header */
    arrival->header = (struct buf){0};
    arrival->origin.fd = -1;
    arrival_free(arrival);
    all->rules.settled(all->arg, &origin, kind, header);
    buf_free(&borrowed);
}

/* Neither version can begin as the other. */
static bool is_line(const struct arrival *arrival, const uint8_t *first)
{
    return arrival->all->rules.version1 && *first == PP1_SIGNATURE[0];
}

/* How long a header of version 2 is as far as can be told. */
static size_t header_bytes(const struct buf *header)
{
    const uint8_t *p = buf_data(header);
    if (buf_len(header) < PP2_HEADER_BYTES) return PP2_HEADER_BYTES;
    return PP2_HEADER_BYTES + (((size_t)p[14] << 8) | p[15]);
}

/* How many of the len bytes at the socket's front belong to the header as far as can be told from them and what was
 * read before: at least one, and never one too many. */
static size_t header_part(const struct arrival *arrival, const uint8_t *data, size_t len)
{
    const struct buf *header = &arrival->header;
    const size_t had = buf_len(header);
    if (is_line(arrival, had > 0 ? buf_data(header) : data)) {
        const uint8_t *end = memchr(data, '\n', len);
        return end ? (size_t)(end - data) + 1 : len;
    }
    const size_t missing = header_bytes(header) - had;
    return len < missing ? len : missing;
}

/* Read as much of the header as is there: more than 0 bytes, 0 at the end of the connection, -1 with errno. */
static ssize_t read_part(struct arrival *arrival)
{
    uint8_t look[512];
    ssize_t got = recv(arrival->origin.fd, look, sizeof(look), MSG_PEEK);
    if (got <= 0) return got;
    const size_t part = header_part(arrival, look, (size_t)got);
    got = recv(arrival->origin.fd, look, part, 0);
    if (got > 0) buf_append(&arrival->header, look, (size_t)got);
    return got;
}

/* As pp2_decode. */
static ssize_t decode(const struct arrival *arrival, struct pp2 *header, const char **why)
{
    const uint8_t *data = buf_data(&arrival->header);
    const size_t len = buf_len(&arrival->header);
    if (is_line(arrival, data)) return pp1_decode(data, len, header, why);
    const ssize_t used = pp2_decode(data, len, header, why);
    if (used != 0 || header_bytes(&arrival->header) <= HEADER_MAX_BYTES) return used;
    *why = "a header that is too long";
    return -1;
}

/* false: no more now, and arrival may be gone. */
static bool read_more(struct arrival *arrival)
{
    const ssize_t got = read_part(arrival);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (got <= 0) {
        if (buf_len(&arrival->header) == 0)
            arrival_free(arrival);
        else
            fail(arrival, "the connection ended in its header");
        return false;
    }
    struct pp2 header;
    const char *why = NULL;
    const ssize_t used = decode(arrival, &header, &why);
    if (used == 0) return true;
    if (used > 0)
        settle(arrival, &header);
    else
        fail(arrival, why);
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
    fail(arrival, "no header in time");
}

struct arrivals *arrivals_new(struct backend *backend, const struct arrival_rules *rules, void *arg)
{
    const int64_t auth_ms = backend->config->auth_timeout_ms;
    struct arrivals *arrivals = MEM_NEW(struct arrivals);
    arrivals->magic = ARRIVALS_MAGIC;
    arrivals->backend = backend;
    arrivals->rules = *rules;
    arrivals->arg = arg;
    list_init(&arrivals->waiting);
    arrivals->hurry =
        deadline_queue_new(backend->shards[0]->loop, auth_ms < HEADER_MS ? auth_ms : HEADER_MS, on_hurry, arrivals);
    return arrivals;
}

void arrivals_free(struct arrivals **arrivals)
{
    struct arrivals *all = *arrivals;
    if (!all) return;
    CHECK_MAGIC(all, ARRIVALS_MAGIC);
    *arrivals = NULL;
    LIST_EACH (link, &all->waiting) {
        arrival_free(LIST_ENTRY(link, struct arrival, link));
    }
    deadline_queue_free(&all->hurry);
    all->magic = 0;
    free(all);
}

void arrivals_add(struct arrivals *arrivals, const struct stream_origin *origin, unsigned kind)
{
    CHECK_MAGIC(arrivals, ARRIVALS_MAGIC);
    if (arrivals->count >= ARRIVALS_MAX)
        fail(LIST_ENTRY(arrivals->waiting.next, struct arrival, link), "too many wait for their header");
    struct arrival *arrival = MEM_NEW(struct arrival);
    arrival->magic = ARRIVAL_MAGIC;
    arrival->all = arrivals;
    arrival->origin = *origin;
    arrival->kind = kind;
    arrival->event =
        event_new(loop_base(arrivals->backend->shards[0]->loop), origin->fd, EV_READ | EV_PERSIST, on_header, arrival);
    CHECK(arrival->event && event_add(arrival->event, NULL) == 0);
    list_append(&arrivals->waiting, &arrival->link);
    arrivals->count++;
    atomic_fetch_add(&arrivals->backend->streams, 1);
    deadline_arm(arrivals->hurry, &arrival->deadline);
}
