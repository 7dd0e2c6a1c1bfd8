#include "backend/dialer.h"

#include "backend/shard.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct dialer {
    const struct dialer_events *ev;
    void *arg;
    struct dialer_way way;
    struct shard *shard;
    const struct s2s_policy *p;
    struct loop_deferred d;
    size_t at;
};
static void go(void *arg)
{
    struct dialer *d = arg;
    if (d->at >= d->p->place_count) {
        d->ev->on_failed(d->arg, S2S_CONNECT, "tmp");
        return;
    }
    const struct s2s_place *pl = &d->p->places[d->at++];
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(pl->port)};
    inet_pton(AF_INET, pl->name, &sa.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (void *)&sa, sizeof sa) != 0) {
        close(fd);
        go(arg);
        return;
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    d->way.direct_tls = pl->tls == S2S_TLS_DIRECT;
    addr_from_sockaddr(&d->way.addr, (void *)&sa, sizeof sa);
    d->ev->on_connected(d->arg, fd, &d->way);
}
struct dialer *dialer_new(struct shard *shard, const char *domain, const struct s2s_policy *policy,
                          const struct s2s_trace *trace, const struct dialer_events *events, void *arg)
{
    (void)domain;
    (void)trace;
    struct dialer *d = MEM_NEW(struct dialer);
    d->ev = events;
    d->arg = arg;
    d->shard = shard;
    d->p = policy;
    d->d.fn = go;
    d->d.arg = d;
    loop_defer(shard->loop, &d->d);
    return d;
}
void dialer_next(struct dialer *d, enum s2s_failure f, const char *why)
{
    (void)f;
    (void)why;
    loop_defer(d->shard->loop, &d->d);
}
void dialer_free(struct dialer **d)
{
    if (*d) {
        loop_defer_cancel(&(*d)->d);
        free(*d);
    }
    *d = NULL;
}
