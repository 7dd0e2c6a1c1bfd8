#include "backend/terminated_listen.h"

#include "backend/admission.h"
#include "backend/arrival.h"
#include "backend/backend_config.h"
#include "backend/gateway_socket.h"
#include "backend/shard.h"
#include "backend/terminated.h"
#include "lib/log.h"
#include "lib/pp2.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TERMINATED_LISTEN_MAGIC = 0x7465726d, ACCEPTS_PER_TURN = 64, RETRY_MS = 100 };

struct terminated_listen {
    unsigned magic;
    struct backend *backend;
    struct gateway_socket socket;
    struct event *event;
    struct arrivals *arrivals;
    struct deadline_queue *reaccept; /* ourselves, when descriptors have run out */
    struct deadline accept_retry;
};

static void fault(struct terminated_listen *all, const char *why)
{
    counter_add(all->backend->counters, COUNTER_TERMINATED_FAULTS, 1);
    log_msg(LOG_LEVEL_WARN, "terminated_fault", "%s", why);
}

static void on_fault(void *arg, const struct stream_origin *origin, const char *why)
{
    struct terminated_listen *all = arg;
    CHECK_MAGIC(all, TERMINATED_LISTEN_MAGIC);
    (void)origin;
    fault(all, why);
}

/* The header is complete: the connection becomes a stream. */
static void on_header(void *arg, struct stream_origin *origin, unsigned kind, const struct pp2 *header)
{
    struct terminated_listen *all = arg;
    CHECK_MAGIC(all, TERMINATED_LISTEN_MAGIC);
    (void)kind;
    const char *why = NULL;
    char sni[GATEWAY_SNI_BYTES];
    if (header->local) { /* a health check */
        close(origin->fd);
        return;
    }
    origin->terminated = terminated_read(header, &why);
    if (!origin->terminated) {
        fault(all, why);
        close(origin->fd);
        return;
    }
    gateway_socket_describe(header, origin, sni);
    counter_add(all->backend->counters, COUNTER_TERMINATED, 1);
    origin->servers_too = true;
    admission_take(all->backend, origin);
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
        const struct stream_origin origin = {.fd = fd};
        arrivals_add(all->arrivals, &origin, 0);
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
    return all;
}

void terminated_listen_start(struct terminated_listen *all, struct backend *backend)
{
    struct loop *loop = backend->shards[0]->loop;
    const struct arrival_rules rules = {.settled = on_header, .failed = on_fault};
    all->backend = backend;
    all->arrivals = arrivals_new(backend, &rules, all);
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
    arrivals_free(&all->arrivals);
    if (all->event) event_free(all->event);
    deadline_queue_free(&all->reaccept);
    gateway_socket_close(&all->socket);
    all->magic = 0;
    free(all);
}
