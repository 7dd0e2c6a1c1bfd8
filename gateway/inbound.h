/* inbound - PROXY protocol headers that clients' connections begin with: read from trusted peers, refused from others.
 *
 * On a listener with proxy-protocol-from, a peer in that list must begin with a header, version 1 or 2.  It is peeked
 * whole, however it is cut, then consumed exactly and nothing behind it.  Its addresses are the connection's from then
 * on; its TLVs are never passed on.  From anyone else, and behind the first header, one is refused.
 * Source: The PROXY protocol, versions 1 & 2 (HAProxy, proxy-protocol.txt), sections 2 and 5. */
#ifndef POSTERN_GATEWAY_INBOUND_H
#define POSTERN_GATEWAY_INBOUND_H

#include "gateway/conn.h"
#include "gateway/probe.h"
#include "lib/addr.h"
#include "lib/check.h"

#include <stdbool.h>

struct listener_config;

/* inbound_expects - whether the listener trusts this peer, which must then begin with a header. */
MUSTCHECK bool inbound_expects(const struct listener_config *listener, const struct addr *peer);

/* inbound_look - whether bytes that are routed begin with a header although the listener takes them from trusted peers
 * only; always no on other listeners. */
MUSTCHECK enum probe_verdict inbound_look(const struct listener_config *listener, const struct sight *sight);

/* inbound_step - the step of CONN_INBOUND. */
enum conn_state inbound_step(struct conn *conn, unsigned wake);

#endif
