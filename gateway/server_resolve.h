/* server_resolve - keeps the addresses of those servers that are host names up to date.
 *
 * The present address is kept while it is among the answers, else the first of them is taken.  An answer that cannot
 * be had changes nothing; a server that has no address yet counts as down. */
#ifndef POSTERN_GATEWAY_SERVER_RESOLVE_H
#define POSTERN_GATEWAY_SERVER_RESOLVE_H

#include "gateway/upstream_state.h"
#include "lib/loop.h"

struct server_resolve;

/* server_resolve_new - ask for all names now, and again at each resolve-interval.  user and group as for resolver_new.
 */
struct server_resolve *server_resolve_new(struct loop *loop, struct upstream_state *state, const char *user,
                                          const char *group);
void server_resolve_free(struct server_resolve **resolve);

/* server_resolve_wait - wait until every name that has no address yet was answered for, one way or the other, or
 * timeout_ms are over. */
void server_resolve_wait(struct server_resolve *resolve, int64_t timeout_ms);

#endif
