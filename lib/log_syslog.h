/* log_syslog - lines to the machine's log daemon (syslogd, journald), as datagrams that never block.
 *
 * What the daemon does not take at once is lost and counted; the count is sent as a line of its own when it takes lines
 * again.  Source: RFC 3164 section 4.1, in the form that the C library sends to the local socket. */
#ifndef POSTERN_LIB_LOG_SYSLOG_H
#define POSTERN_LIB_LOG_SYSLOG_H

#include "lib/check.h"

#include <stddef.h>

/* log_syslog_open - a socket to the daemon at path, connected now or, when the daemon is not there, with a later line.
 * facility is an index into the choices of the option "syslog": daemon, auth,
 * authpriv, user, local0 to local7.  Returns 0, or -1 and errno when there is no descriptor or path is too long.
 * The socket is kept over another call. */
MUSTCHECK int log_syslog_open(const char *path, int facility);

/* log_syslog_send - send len bytes of text, without a newline; severity as in RFC 3164: 3 error … 7 debug.  Any thread
 * and every forked child may. */
void log_syslog_send(int severity, const char *text, size_t len);

#endif
