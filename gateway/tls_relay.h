/* tls_relay - moves bytes between a client whose TLS ends here and a server's plain socket.
 *
 * Bytes go through the buffer that all connections of a worker share, as many records at once as fit, and what the sink
 * did not take is kept as relay does; an idle way holds no memory, nor does OpenSSL for it.  The client's close_notify
 * becomes the server's end of file and the server's end of file a close_notify; an end of the client's TCP connection
 * without close_notify is none in order (RFC 8446 section 6.1).  The first bytes to the client go in small records,
 * which it can decrypt as the first segments arrive. */
#ifndef POSTERN_GATEWAY_TLS_RELAY_H
#define POSTERN_GATEWAY_TLS_RELAY_H

#include "gateway/relay.h"
#include "gateway/secure.h"

/* tls_relay_up - from the client to a server's socket, up to a bound.  RELAY_SOURCE_BROKEN: secure->wire says how. */
MUSTCHECK enum relay_status tls_relay_up(struct relay_shared *shared, struct relay_way *way, struct secure *secure,
                                         int sink);

/* tls_relay_down - from a server's socket to the client.  RELAY_SINK_BROKEN: secure->wire says how. */
MUSTCHECK enum relay_status tls_relay_down(struct relay_shared *shared, struct relay_way *way, struct secure *secure,
                                           int source);

/* Which readiness of the client's socket the two ways wait for. */
bool tls_relay_wants_read(const struct secure *secure, const struct relay_way *up);
bool tls_relay_wants_write(const struct secure *secure, const struct relay_way *down);

#endif
