/* fdpass - one message with one descriptor over a Unix SOCK_SEQPACKET socket. */
#ifndef POSTERN_LIB_FDPASS_H
#define POSTERN_LIB_FDPASS_H

#include "lib/check.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* fdpass_send - send len bytes with a copy of fd (SCM_RIGHTS); the caller keeps and closes its own; fd -1 sends
 * none.  len is above 0.  Never blocks and never raises SIGPIPE.  Returns 0, or -1 with errno (EAGAIN: the peer's queue
 * is full; EPIPE, ECONNRESET: gone; ETOOMANYREFS: too many descriptors in flight). */
MUSTCHECK int fdpass_send(int sock, int fd, const void *data, size_t len);

enum fdpass_status { FDPASS_OK, FDPASS_AGAIN, FDPASS_EOF, FDPASS_TRUNCATED, FDPASS_ERROR };

/* fdpass_recv - receive one message.  On FDPASS_OK *len bytes are in data and *fd is the caller's (close-on-exec) or
 * -1 when the message had none.  FDPASS_TRUNCATED: data or descriptors were cut (MSG_TRUNC, MSG_CTRUNC: no free
 * descriptor); whatever arrived has been closed.  FDPASS_ERROR: errno says why. */
MUSTCHECK enum fdpass_status fdpass_recv(int sock, void *data, size_t cap, size_t *len, int *fd);

#endif
