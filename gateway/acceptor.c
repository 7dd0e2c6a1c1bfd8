#include "gateway/acceptor.h"

#include "gateway/conn.h"
#include "gateway/worker.h"
#include "lib/log.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BATCH = 32,        /* connections for each wake-up, so that accepting does not starve the accepted */
    LAST_BATCHES = 64, /* when stopping: the queue is emptied, within reason */
    RESUME_MS = 100,   /* out of descriptors: asking again at once would only spin */
};

static void refuse(const struct acceptor *acceptor, int fd, const struct addr *peer)
{
    struct log_line line;
    counter_add(acceptor->worker->totals, close_reason_row(CLOSE_OVERLOAD), 1);
    close(fd);
    log_begin(&line, LOG_LEVEL_WARN, "close");
    log_addr(&line, "peer", peer);
    log_str(&line, "listener", acceptor->socket->config->name);
    log_str(&line, "reason", close_reason_name(CLOSE_OVERLOAD));
    log_end(&line);
}

static void fault(struct acceptor *acceptor, int error)
{
    const struct timeval delay = {.tv_usec = RESUME_MS * 1000};
    counter_add(acceptor->worker->totals, COUNTER_ACCEPT_FAULTS, 1);
    log_msg(LOG_LEVEL_WARN, "accept_fault", "listener %s: %s", acceptor->socket->config->name, strerror(error));
    event_del(acceptor->event);
    evtimer_add(acceptor->resume, &delay);
}

/* Returns whether more may be waiting. */
static bool accept_one(struct acceptor *acceptor)
{
    struct worker *worker = acceptor->worker;
    struct sockaddr_storage from;
    socklen_t len = sizeof(from);
    int fd = accept4(acceptor->socket->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            fault(acceptor, errno);
            return false;
        }
        return true; /* the connection was gone before we took it: accept(2) lists many such errors */
    }
    struct addr peer;
    addr_from_sockaddr(&peer, (struct sockaddr *)&from, len);
    counter_add(worker->totals, COUNTER_ACCEPTED, 1);
    if (worker->conn_count >= worker->config->max_connections)
        refuse(acceptor, fd, &peer);
    else
        conn_start(worker, acceptor->socket->config, fd, &peer);
    return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct acceptor *acceptor = arg;
    (void)fd, (void)what;
    for (int i = 0; i < BATCH && accept_one(acceptor); i++)
        ;
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
    struct acceptor *acceptor = arg;
    (void)fd, (void)what;
    event_add(acceptor->event, NULL);
}

void acceptor_start(struct acceptor *acceptor, struct worker *worker, struct listener_socket *socket)
{
    struct event_base *base = loop_base(worker->loop);
    acceptor->worker = worker;
    acceptor->socket = socket;
    acceptor->resume = evtimer_new(base, on_resume, acceptor);
    acceptor->event = event_new(base, socket->fd, EV_READ | EV_PERSIST, on_readable, acceptor);
    CHECK(acceptor->resume != NULL && acceptor->event != NULL);
    event_add(acceptor->event, NULL);
}

void acceptor_stop(struct acceptor *acceptor)
{
    if (acceptor->resume == NULL) return;
    for (int i = 0; i < LAST_BATCHES * BATCH && accept_one(acceptor); i++)
        ;
    event_free(acceptor->event);
    event_free(acceptor->resume);
    acceptor->resume = NULL;
    close(acceptor->socket->fd);
    acceptor->socket->fd = -1;
}
