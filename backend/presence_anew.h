/* presence_anew - another server is there again: it is told who of us is available, and asked who of its users is.
 *
 * Source: RFC 6121 sections 4.2 and 4.3: what was not sent, or may have got lost with a stream, is sent as at the
 * beginning of a session. */
#ifndef POSTERN_BACKEND_PRESENCE_ANEW_H
#define POSTERN_BACKEND_PRESENCE_ANEW_H

struct backend;

/* presence_anew - for all users of the domain local who have contacts at remote, some at a time; any thread. */
void presence_anew(struct backend *backend, const char *local, const char *remote);

#endif
