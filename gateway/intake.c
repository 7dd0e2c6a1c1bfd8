#include "gateway/intake.h"

#include "gateway/conn.h"
#include "gateway/worker.h"
#include "lib/log.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BATCH = 32,        /* connections for each wake-up, so that accepting does not starve the accepted */
    LAST_BATCHES = 64, /* when stopping: the queue is emptied, within reason */
    RESUME_MS = 100,   /* out of descriptors: asking again at once would only spin */
};

static void fault(struct intake *intake, int error)
{
    const struct timeval delay = {.tv_usec = RESUME_MS * 1000L};
    counter_add(intake->worker->totals, COUNTER_ACCEPT_FAULTS, 1);
    log_msg(LOG_LEVEL_WARN, "accept_fault", "listener %s: %s", intake->socket->config->name, strerror(error));
    event_del(intake->event);
    evtimer_add(intake->resume, &delay);
}

/* Returns whether more may be waiting. */
static bool accept_one(struct intake *intake)
{
    struct worker *worker = intake->worker;
    struct sockaddr_storage from;
    socklen_t len = sizeof(from);
    int fd = accept4(intake->socket->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
        int error = errno;
        if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) {
            int shed = error == EMFILE ? limits_shed(worker, intake->socket->config, intake->socket->fd) : -1;
            if (shed >= 0) return shed > 0;
            fault(intake, error);
            return false;
        }
        return true; /* the connection was gone before we took it: accept(2) lists many such errors */
    }
    struct addr peer;
    addr_from_sockaddr(&peer, (struct sockaddr *)&from, len);
    counter_add(worker->totals, COUNTER_ACCEPTED, 1);
    const struct listener_config *listener = intake->socket->config;
    enum close_reason why = CLOSE_OVERLOAD;
    if (limits_admit(worker, listener, &peer, &why))
        conn_start(worker, listener, fd, &peer, &intake->local);
    else
        limits_turn_away(worker, listener, fd, &peer, why);
    return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct intake *intake = arg;
    (void)fd, (void)what;
    for (int i = 0; i < BATCH && accept_one(intake); i++)
        ;
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
    struct intake *intake = arg;
    (void)fd, (void)what;
    event_add(intake->event, NULL);
}

/* Of a listener for one address, every connection has this one; else it is asked for each. */
static struct addr local_of_all(int fd)
{
    struct addr bound = addr_of_socket(fd);
    int transparent = 0;
    socklen_t len = sizeof(transparent);
    bool redirected = getsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &transparent, &len) == 0 && transparent != 0;
    return redirected || addr_is_any(&bound) ? (struct addr){0} : bound;
}

void intake_start(struct intake *intake, struct worker *worker, struct listener_socket *socket)
{
    struct event_base *base = loop_base(worker->loop);
    intake->worker = worker;
    intake->socket = socket;
    intake->local = local_of_all(socket->fd);
    intake->resume = evtimer_new(base, on_resume, intake);
    intake->event = event_new(base, socket->fd, EV_READ | EV_PERSIST, on_readable, intake);
    CHECK(intake->resume != NULL && intake->event != NULL);
    event_add(intake->event, NULL);
}

void intake_stop(struct intake *intake, bool empty)
{
    if (intake->resume == NULL) return;
    for (int i = 0; empty && i < LAST_BATCHES * BATCH && accept_one(intake); i++)
        ;
    event_free(intake->event);
    event_free(intake->resume);
    intake->resume = NULL;
    close(intake->socket->fd);
    intake->socket->fd = -1;
}
