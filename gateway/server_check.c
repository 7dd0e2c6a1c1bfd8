#include "gateway/server_check.h"

#include "gateway/upstream_log.h"
#include "lib/log.h"
#include "lib/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct server_check {
    const struct upstream_config *config;
    const struct server_text *text;
    struct upstream_server *server;
    struct event_base *base;
    struct event *timer; /* the next check */
    struct event *event; /* while connecting */
    int fd;              /* -1: no check is under way */
    bool checked;        /* once at least */
    uint32_t streak;
};

struct server_checks {
    size_t count;
    struct server_check *checks;
};

bool server_check_decide(bool down, bool succeeded, uint32_t rise, uint32_t fall, uint32_t *streak)
{
    if (succeeded != down) {
        *streak = 0;
        return down;
    }
    (*streak)++;
    if (*streak < (succeeded ? rise : fall)) return down;
    *streak = 0;
    return !down;
}

static struct timeval interval(int64_t ms)
{
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

static void again(struct server_check *check)
{
    const struct timeval delay = interval(check->config->check_interval_ms);
    evtimer_add(check->timer, &delay);
}

/* Want of descriptors or memory says nothing about the server. */
static bool is_ours(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* error is 0 for a check that succeeded. */
static void judge(struct server_check *check, int error)
{
    const struct upstream_config *config = check->config;
    if (is_ours(error)) return;
    bool was_down = atomic_load(&check->server->down);
    /* What nobody knows yet is decided by the first check. */
    uint32_t rise = check->checked ? config->rise : 1, fall = check->checked ? config->fall : 1;
    bool down = server_check_decide(was_down, error == 0, rise, fall, &check->streak);
    check->checked = true;
    if (down == was_down) return;
    atomic_store(&check->server->down, down);
    if (down)
        upstream_log(LOG_LEVEL_WARN, "server_down", config->name, check->text->name, "error", strerror(error));
    else
        upstream_log(LOG_LEVEL_INFO, "server_up", config->name, check->text->name, NULL, NULL);
}

static void end(struct server_check *check)
{
    if (check->fd < 0) return;
    const struct linger linger = {.l_onoff = 1};
    event_free(check->event);
    check->event = NULL;
    (void)setsockopt(check->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(check->fd);
    check->fd = -1;
}

static void on_decided(evutil_socket_t fd, short what, void *arg)
{
    struct server_check *check = arg;
    int error = 0;
    socklen_t len = sizeof(error);
    if (what & EV_TIMEOUT)
        error = ETIMEDOUT;
    else if (getsockopt((int)fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    end(check);
    judge(check, error);
    again(check);
}

static bool find_address(const struct server_check *check, struct endpoint *to)
{
    *to = check->text->at;
    if (check->text->host == NULL) return true;
    if (!upstream_address_get(&check->server->address, &to->ip)) return false;
    to->len = to->sa.sa_family == AF_INET6 ? sizeof(to->ip.in6) : sizeof(to->ip.in);
    return true;
}

/* Returns the error's number, 0 if the server is there, or EINPROGRESS. */
static int begin(struct server_check *check, const struct endpoint *to)
{
    const int off = 0;
    int fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    /* The acknowledgment of the server's SYN is held back, and the reset goes out instead of it. */
    if (to->sa.sa_family != AF_UNIX) (void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof(off));
    int error = connect(fd, &to->sa, to->len) == 0 ? 0 : errno;
    const struct timeval timeout = interval(check->config->check_timeout_ms);
    check->fd = fd;
    check->event = event_new(check->base, fd, EV_WRITE, on_decided, check);
    CHECK(check->event != NULL);
    if (error == EINPROGRESS) {
        event_add(check->event, &timeout);
        return error;
    }
    end(check);
    /* A Unix socket whose queue is full belongs to somebody who is there. */
    return error == EAGAIN ? 0 : error;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct server_check *check = arg;
    struct endpoint to;
    (void)fd, (void)what;
    if (atomic_load(&check->server->admin) != UPSTREAM_MAINTENANCE && find_address(check, &to)) {
        int error = begin(check, &to);
        if (error == EINPROGRESS) return;
        judge(check, error);
    }
    again(check);
}

static void add(struct server_checks *checks, struct loop *loop, struct upstream_state *state, size_t upstream)
{
    const struct upstream_config *config = upstream_state_config(state, upstream);
    const struct timeval now = {0};
    for (size_t i = 0; i < config->server_count; i++) {
        struct server_check *check = &checks->checks[checks->count++];
        check->config = config;
        check->text = &config->servers[i];
        check->server = &upstream_state_servers(state, upstream)[i];
        check->base = loop_base(loop);
        check->fd = -1;
        check->timer = evtimer_new(check->base, on_timer, check);
        CHECK(check->timer != NULL);
        evtimer_add(check->timer, &now);
    }
}

struct server_checks *server_checks_new(struct loop *loop, struct upstream_state *state)
{
    struct server_checks *checks = MEM_NEW(struct server_checks);
    size_t count = 0;
    for (size_t i = 0; i < upstream_state_count(state); i++)
        count += upstream_state_config(state, i)->server_count;
    checks->checks = mem_alloc((count + 1) * sizeof(*checks->checks));
    for (size_t i = 0; i < upstream_state_count(state); i++)
        if (upstream_state_config(state, i)->check_interval_ms > 0) add(checks, loop, state, i);
    return checks;
}

void server_checks_free(struct server_checks **checks)
{
    struct server_checks *old = *checks;
    *checks = NULL;
    if (old == NULL) return;
    for (size_t i = 0; i < old->count; i++) {
        end(&old->checks[i]);
        event_free(old->checks[i].timer);
    }
    free(old->checks);
    free(old);
}
