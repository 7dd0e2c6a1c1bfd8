/* upstream_watch - what the master does for the servers of a configuration: checks and host names. */
#ifndef POSTERN_GATEWAY_UPSTREAM_WATCH_H
#define POSTERN_GATEWAY_UPSTREAM_WATCH_H

#include "gateway/gateway_config.h"
#include "gateway/upstream_state.h"
#include "lib/loop.h"

#include <stdint.h>

struct upstream_watch;

/* upstream_watch_new - begin; config and state are borrowed for its life. */
struct upstream_watch *upstream_watch_new(struct loop *loop, const struct gateway_config *config,
                                          struct upstream_state *state);

/* upstream_watch_free - end; a child of the master may do so with its copy, too. */
void upstream_watch_free(struct upstream_watch **watch);

/* upstream_watch_settle - wait, for timeout_ms at most, until the names without an address are resolved, so that the
 * first clients find their servers. */
void upstream_watch_settle(struct upstream_watch *watch, int64_t timeout_ms);

#endif
