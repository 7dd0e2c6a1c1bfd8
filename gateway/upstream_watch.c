#include "gateway/upstream_watch.h"

#include "gateway/server_check.h"
#include "gateway/server_resolve.h"
#include "lib/mem.h"

#include <stdlib.h>

struct upstream_watch {
    struct server_resolve *resolve;
    struct server_checks *checks;
};

struct upstream_watch *upstream_watch_new(struct loop *loop, const struct gateway_config *config,
                                          struct upstream_state *state)
{
    struct upstream_watch *watch = MEM_NEW(struct upstream_watch);
    watch->resolve = server_resolve_new(loop, state, config->user, config->group);
    watch->checks = server_checks_new(loop, state);
    return watch;
}

void upstream_watch_free(struct upstream_watch **watch)
{
    struct upstream_watch *old = *watch;
    *watch = NULL;
    if (old == NULL) return;
    server_checks_free(&old->checks);
    server_resolve_free(&old->resolve);
    free(old);
}

void upstream_watch_settle(struct upstream_watch *watch, int64_t timeout_ms)
{
    server_resolve_wait(watch->resolve, timeout_ms);
}
