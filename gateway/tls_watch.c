#include "gateway/tls_watch.h"

#include "gateway/tls_bundle.h"
#include "gateway/tls_certs.h"
#include "gateway/tls_sources.h"
#include "lib/log.h"
#include "lib/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SETTLE_MS = 1000 }; /* files that change are read when they have been the same for so long */

struct tls_watch {
    struct gateway_config *config;
    tls_watch_fn *fn;
    void *arg;
    struct event *timer;
};

static void tell(struct tls_watch *watch, struct tls_config *section)
{
    tls_sources_read(section->sources);
    tls_certs_unref(&section->certs);
    section->certs = tls_sources_certs(section->sources);
    int fd = tls_bundle_write(section->certs);
    if (fd < 0) {
        log_msg(LOG_LEVEL_ERROR, "certificates_lost", "workers cannot be told of new certificates: %s",
                strerror(errno));
        return;
    }
    log_msg(LOG_LEVEL_INFO, "certificates", "tls \"%s\" has %zu certificates now", section->name,
            tls_certs_count(section->certs));
    watch->fn(section->name, fd, watch->arg);
    close(fd);
}

/* Returns whether files are being written just now. */
static bool look(struct tls_watch *watch)
{
    bool moving = false;
    for (size_t i = 0; i < watch->config->tls_count; i++) {
        struct tls_config *section = &watch->config->tls[i];
        enum tls_sources_state state = tls_sources_look(section->sources);
        moving |= state == TLS_SOURCES_MOVING;
        if (state == TLS_SOURCES_CHANGED) tell(watch, section);
    }
    return moving;
}

static void set_timer(struct tls_watch *watch, int64_t delay_ms)
{
    const struct timeval delay = {.tv_sec = delay_ms / 1000, .tv_usec = delay_ms % 1000 * 1000};
    evtimer_add(watch->timer, &delay);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct tls_watch *watch = arg;
    (void)fd, (void)what;
    bool moving = look(watch);
    int64_t interval_ms = watch->config->certificate_check_ms;
    set_timer(watch, moving && interval_ms > SETTLE_MS ? SETTLE_MS : interval_ms);
}

struct tls_watch *tls_watch_new(struct loop *loop, struct gateway_config *config, tls_watch_fn *fn, void *arg)
{
    struct tls_watch *watch = MEM_NEW(struct tls_watch);
    watch->config = config;
    watch->fn = fn;
    watch->arg = arg;
    watch->timer = evtimer_new(loop_base(loop), on_timer, watch);
    CHECK(watch->timer != NULL);
    if (config->tls_count > 0 && config->certificate_check_ms > 0) set_timer(watch, config->certificate_check_ms);
    return watch;
}

void tls_watch_free(struct tls_watch **watch)
{
    if (*watch == NULL) return;
    event_free((*watch)->timer);
    free(*watch);
    *watch = NULL;
}
