/* server_check - the master connects to each server from time to time to see whether it is there.
 *
 * The connection is reset before the server's kernel has its last acknowledgment, so that a server on TCP never
 * accepts it and has nothing to log.  On a Unix socket it sees a connection that ends at once. */
#ifndef POSTERN_GATEWAY_SERVER_CHECK_H
#define POSTERN_GATEWAY_SERVER_CHECK_H

#include "gateway/upstream_state.h"
#include "lib/loop.h"

struct server_checks;

/* server_checks_new - begin to check the servers of those upstreams that have a check-interval. */
struct server_checks *server_checks_new(struct loop *loop, struct upstream_state *state);
void server_checks_free(struct server_checks **checks);

/* server_check_decide - what to believe after a check; pure.  down is what is believed now, *streak the number of
 * checks in a row that said otherwise. */
MUSTCHECK bool server_check_decide(bool down, bool succeeded, uint32_t rise, uint32_t fall, uint32_t *streak);

#endif
