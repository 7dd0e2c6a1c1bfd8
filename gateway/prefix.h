/* prefix - the PROXY protocol header that an upstream gets ahead of a client's bytes.
 *
 * It goes out as soon as the server is connected, before the client speaks again.  Source: The PROXY protocol, versions
 * 1 & 2 (HAProxy, proxy-protocol.txt), section 2. */
#ifndef POSTERN_GATEWAY_PREFIX_H
#define POSTERN_GATEWAY_PREFIX_H

#include "gateway/conn.h"

/* prefix_note - keep what the header will need of a sight that is gone once the server is connected. */
void prefix_note(struct conn *conn, const struct sight *sight);

/* prefix_note_handoff - the same from the message of a handoff that came to nothing, which conn->header holds. */
void prefix_note_handoff(struct conn *conn);

/* prefix_queue - queue the header that conn->upstream asks for, as the first bytes to the server, and behind it what
 * was decrypted ahead. */
void prefix_queue(struct conn *conn);

#endif
