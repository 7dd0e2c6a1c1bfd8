/* archive_run - giving a session what it asks its archive for, no faster than it reads.
 *
 * First it is found out which messages a page has, then they are read and sent, as many at once as fit into 64 KiB.  A
 * session is given one page after the other.  Source: XEP-0313 sections 4.2, 4.3 and 5. */
#ifndef POSTERN_BACKEND_ARCHIVE_RUN_H
#define POSTERN_BACKEND_ARCHIVE_RUN_H

#include "backend/stanza.h"

struct archive_query;
struct archive_run;
struct session;
struct user;

/* archive_run_begin - answer the request (borrowed) of one of the user's sessions by what the query (its content is
 * taken) finds; query NULL: by which messages are the first and the last. */
void archive_run_begin(struct user *user, struct session *session, const struct stanza *request,
                       struct archive_query *query);

/* archive_run_continue - the client has taken or acknowledged something, or has come back: go on, if that was waited
 * for. */
void archive_run_continue(struct session *session);

/* archive_run_end - the session has left: it is given no more. */
void archive_run_end(struct session *session);

#endif
