#include "backend/inlet.h"

#include "backend/admission.h"
#include "backend/gateway_socket.h"
#include "backend/shard.h"
#include "lib/fdpass.h"
#include "lib/log.h"
#include "lib/pp2.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { INLET_MAGIC = 0x696e6c65, GATE_MAGIC = 0x67617465, MESSAGES_PER_TURN = 64, RETRY_MS = 100 };

/* One connection from a gateway's worker. */
struct gate {
    unsigned magic;
    struct list link;
    struct inlet *inlet;
    int fd;
    struct event *event;
    struct deadline retry;
};

struct inlet {
    unsigned magic;
    struct backend *backend;
    struct gateway_socket socket;
    struct event *event;
    struct list gates;
    struct deadline_queue *retry;    /* gates */
    struct deadline_queue *reaccept; /* ourselves, when descriptors have run out */
    struct deadline accept_retry;
    uint8_t message[PP2_MAX_BYTES];
};

static void gate_free(struct gate *gate)
{
    list_remove(&gate->link);
    deadline_disarm(&gate->retry);
    event_free(gate->event);
    close(gate->fd);
    gate->magic = 0;
    free(gate);
}

/* TLS, unless the client has begun to speak otherwise; a silent one is waited for by the handshake. */
static bool speaks_tls(int fd)
{
    char first;
    return recv(fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) != 1 || first == 0x16;
}

/* Not a file, a pipe or a listening socket, which the loop cannot watch or nobody can write to. */
static bool is_connection(int fd)
{
    int type = 0, listens = 0;
    socklen_t len = sizeof(int);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && !listens;
}

static void fault(struct inlet *inlet, const char *why)
{
    counter_add(inlet->backend->counters, COUNTER_INLET_FAULTS, 1);
    log_msg(LOG_LEVEL_WARN, "inlet_fault", "%s", why);
}

static void take(struct inlet *inlet, size_t len, int fd)
{
    struct pp2 pp;
    const char *why = "cut short";
    const ssize_t used = pp2_decode(inlet->message, len, &pp, &why);
    if (fd < 0) {
        fault(inlet, "a message without a socket");
        return;
    }
    if (used < 0 || (size_t)used != len) {
        fault(inlet, used > 0 ? "bytes behind the header" : why);
        close(fd);
        return;
    }
    if (!is_connection(fd)) {
        fault(inlet, "a descriptor that is no connection");
        close(fd);
        return;
    }
    if (pp.local) {
        close(fd);
        return;
    }
    evutil_make_socket_nonblocking(fd);
    /* The gateway's view of the server name counts for the log only, and only until the handshake has told it; what it
     * says about TLS counts for nothing, since the handshake is ours. */
    char sni[GATEWAY_SNI_BYTES];
    struct stream_origin origin = {.fd = fd, .direct_tls = speaks_tls(fd)};
    gateway_socket_describe(&pp, &origin, sni);
    counter_add(inlet->backend->counters, COUNTER_INLET_MESSAGES, 1);
    origin.servers_too = true;
    admission_take(inlet->backend, &origin);
}

static void rest(struct gate *gate)
{
    event_del(gate->event);
    deadline_arm(gate->inlet->retry, &gate->retry);
}

static void on_retry(struct deadline *deadline, void *arg)
{
    (void)arg;
    struct gate *gate = CONTAINER_OF(deadline, struct gate, retry);
    CHECK_MAGIC(gate, GATE_MAGIC);
    event_add(gate->event, NULL);
}

/* false: no more messages now, and gate may be gone. */
static bool read_one(struct gate *gate)
{
    struct inlet *inlet = gate->inlet;
    size_t len = 0;
    int fd = -1;
    if (!admission_has_room(inlet->backend)) {
        rest(gate);
        return false;
    }
    switch (fdpass_recv(gate->fd, inlet->message, sizeof(inlet->message), &len, &fd)) {
    case FDPASS_OK:
        take(inlet, len, fd);
        return true;
    case FDPASS_TRUNCATED:
        fault(inlet, "a message cut short, or no descriptor was free");
        return true;
    case FDPASS_AGAIN:
        return false;
    case FDPASS_EOF:
    case FDPASS_ERROR:
        break;
    }
    gate_free(gate);
    return false;
}

static void on_message(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct gate *gate = arg;
    CHECK_MAGIC(gate, GATE_MAGIC);
    for (unsigned i = 0; i < MESSAGES_PER_TURN; i++)
        if (!read_one(gate)) return;
}

static void on_gateway(evutil_socket_t listener, short what, void *arg)
{
    (void)what;
    struct inlet *inlet = arg;
    CHECK_MAGIC(inlet, INLET_MAGIC);
    const int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return;
        counter_add(inlet->backend->counters, COUNTER_ACCEPT_FAULTS, 1);
        event_del(inlet->event);
        deadline_arm(inlet->reaccept, &inlet->accept_retry);
        return;
    }
    if (!gateway_socket_is_allowed(&inlet->socket, fd)) {
        counter_add(inlet->backend->counters, COUNTER_INLET_STRANGERS, 1);
        log_msg(LOG_LEVEL_WARN, "inlet_stranger", "a user who is not gateway-user connected");
        close(fd);
        return;
    }
    struct gate *gate = MEM_NEW(struct gate);
    gate->magic = GATE_MAGIC;
    gate->inlet = inlet;
    gate->fd = fd;
    gate->event = event_new(event_get_base(inlet->event), fd, EV_READ | EV_PERSIST, on_message, gate);
    CHECK(gate->event && event_add(gate->event, NULL) == 0);
    list_append(&inlet->gates, &gate->link);
}

static void on_reaccept(struct deadline *deadline, void *arg)
{
    (void)deadline;
    struct inlet *inlet = arg;
    CHECK_MAGIC(inlet, INLET_MAGIC);
    event_add(inlet->event, NULL);
}

struct inlet *inlet_open(const struct backend_config *config, char *why, size_t cap)
{
    struct gateway_socket opened;
    if (gateway_socket_open(&opened, config, "inlet.sock", SOCK_SEQPACKET, why, cap) != 0) return NULL;
    struct inlet *inlet = MEM_NEW(struct inlet);
    inlet->magic = INLET_MAGIC;
    inlet->socket = opened;
    list_init(&inlet->gates);
    return inlet;
}

void inlet_start(struct inlet *inlet, struct backend *backend)
{
    struct loop *loop = backend->shards[0]->loop;
    inlet->backend = backend;
    inlet->retry = deadline_queue_new(loop, RETRY_MS, on_retry, inlet);
    inlet->reaccept = deadline_queue_new(loop, RETRY_MS, on_reaccept, inlet);
    inlet->event = event_new(loop_base(loop), inlet->socket.fd, EV_READ | EV_PERSIST, on_gateway, inlet);
    CHECK(inlet->event && event_add(inlet->event, NULL) == 0);
}

void inlet_free(struct inlet **inlet)
{
    struct inlet *i = *inlet;
    if (!i) return;
    CHECK_MAGIC(i, INLET_MAGIC);
    *inlet = NULL;
    LIST_EACH (link, &i->gates) {
        gate_free(LIST_ENTRY(link, struct gate, link));
    }
    if (i->event) event_free(i->event);
    deadline_queue_free(&i->retry);
    deadline_queue_free(&i->reaccept);
    gateway_socket_close(&i->socket);
    i->magic = 0;
    free(i);
}
