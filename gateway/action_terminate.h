/* action_terminate - ends the client's TLS here, looks at the plaintext, and has the routes decide once more.
 *
 * The ClientHello was only peeked at: OpenSSL reads it from the socket itself.  The plaintext is gathered up to
 * peek-limit, as peeking does it with what comes as it is: with the same probes, patterns and deadline, and a verdict
 * that does not depend on how the bytes were cut.  Only routes whose "inside" names the section take part. */
#ifndef POSTERN_GATEWAY_ACTION_TERMINATE_H
#define POSTERN_GATEWAY_ACTION_TERMINATE_H

#include "gateway/conn.h"
#include "lib/log.h"

/* action_terminate_start - begin the handshake. */
enum conn_state action_terminate_start(struct conn *conn, const struct sight *sight);

/* The steps of CONN_TLS_HANDSHAKE and CONN_TLS_INSIDE. */
enum conn_state action_terminate_step_handshake(struct conn *conn, unsigned wake);
enum conn_state action_terminate_step_inside(struct conn *conn, unsigned wake);

/* action_terminate_broken - the client's TLS failed (WIRE_BROKEN): the server is reset at once, and a client that was
 * sent an alert gets time to read it. */
enum conn_state action_terminate_broken(struct conn *conn);

/* action_terminate_log - the fields that the line about a connection's end has more. */
void action_terminate_log(const struct conn *conn, struct log_line *line);

#endif
