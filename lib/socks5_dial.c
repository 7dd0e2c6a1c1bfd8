#include "lib/socks5_dial.h"

#include "lib/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SOCKS5_DIAL_MAGIC = 0x736f636b };

struct socks5_dial {
    unsigned magic;
    struct loop *loop;
    struct socks5 socks5;
    size_t sent; /* of socks5.out */
    int fd, error;
    bool connected;
    struct event *event;
    socks5_dial_fn *fn;
    void *arg;
    char why[128];
};

static void finish(struct socks5_dial *dial, enum socks5_verdict verdict, const char *why)
{
    const int fd = dial->fd;
    event_free(dial->event);
    dial->event = NULL;
    dial->fd = -1;
    if (verdict != SOCKS5_DONE && fd >= 0) close(fd);
    dial->fn(dial->arg, verdict, verdict == SOCKS5_DONE ? fd : -1, why);
}

static void break_off(struct socks5_dial *dial, const char *what, int error)
{
    snprintf(dial->why, sizeof(dial->why), "%s: %s", what, strerror(error));
    finish(dial, SOCKS5_BROKEN, dial->why);
}

static void on_ready(evutil_socket_t fd, short what, void *arg);

static void await(struct socks5_dial *dial)
{
    const short what = dial->socks5.out_len > 0 || !dial->connected ? EV_WRITE : EV_READ;
    event_assign(dial->event, loop_base(dial->loop), dial->fd, what, on_ready, dial);
    event_add(dial->event, NULL);
}

/* Returns 0, or -1 when there is an end to it. */
static int flush(struct socks5_dial *dial)
{
    struct socks5 *s = &dial->socks5;
    while (s->out_len > dial->sent) {
        const ssize_t n = send(dial->fd, s->out + dial->sent, s->out_len - dial->sent, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
        if (n < 0) {
            break_off(dial, "the connection to the proxy", errno);
            return -1;
        }
        dial->sent += (size_t)n;
    }
    s->out_len = dial->sent = 0;
    return 0;
}

static int receive(struct socks5_dial *dial)
{
    uint8_t bytes[SOCKS5_NAME_MAX_BYTES + 2];
    struct socks5 *s = &dial->socks5;
    while (s->out_len == 0) {
        CHECK(s->want <= sizeof(bytes));
        const ssize_t n = recv(dial->fd, bytes, s->want, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
        if (n <= 0) {
            break_off(dial, "the connection to the proxy", n < 0 ? errno : ECONNRESET);
            return -1;
        }
        const enum socks5_verdict verdict = socks5_take(s, bytes, (size_t)n);
        if (verdict == SOCKS5_MORE) continue;
        finish(dial, verdict, s->why);
        return -1;
    }
    return 0;
}

static int take_connection(struct socks5_dial *dial)
{
    socklen_t len = sizeof(dial->error);
    if (dial->error == 0 && getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &dial->error, &len) != 0) dial->error = errno;
    dial->connected = dial->error == 0;
    if (dial->connected) return 0;
    break_off(dial, "cannot connect to the proxy", dial->error);
    return -1;
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct socks5_dial *dial = arg;
    (void)fd;
    (void)what;
    CHECK_MAGIC(dial, SOCKS5_DIAL_MAGIC);
    if (!dial->connected && take_connection(dial) != 0) return;
    bool blocked = false;
    while (!blocked) {
        if (flush(dial) != 0) return;
        blocked = dial->socks5.out_len > 0;
        if (blocked) break;
        if (receive(dial) != 0) return;
        blocked = dial->socks5.out_len == 0;
    }
    await(dial);
}

struct socks5_dial *socks5_dial_new(struct loop *loop, const struct endpoint *proxy, const char *host, uint16_t port,
                                    const char *user, socks5_dial_fn *fn, void *arg)
{
    struct socks5_dial *dial = MEM_NEW(struct socks5_dial);
    if (socks5_begin(&dial->socks5, host, port, user) != 0) {
        free(dial);
        return NULL;
    }
    dial->magic = SOCKS5_DIAL_MAGIC;
    dial->loop = loop;
    dial->fn = fn;
    dial->arg = arg;
    dial->fd = socket(proxy->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (dial->fd < 0 || (connect(dial->fd, &proxy->sa, proxy->len) != 0 && errno != EINPROGRESS)) dial->error = errno;
    dial->event = event_new(loop_base(loop), dial->fd, EV_WRITE, on_ready, dial);
    CHECK(dial->event);
    if (dial->error)
        event_active(dial->event, EV_WRITE, 0);
    else
        event_add(dial->event, NULL);
    return dial;
}

void socks5_dial_free(struct socks5_dial **dial)
{
    struct socks5_dial *d = *dial;
    if (!d) return;
    CHECK_MAGIC(d, SOCKS5_DIAL_MAGIC);
    *dial = NULL;
    if (d->event) event_free(d->event);
    if (d->fd >= 0) close(d->fd);
    d->magic = 0;
    free(d);
}
