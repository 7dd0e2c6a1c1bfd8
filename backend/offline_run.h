/* offline_run - giving a session what has waited for its user, before anything else that is meant for the user.
 *
 * When there is more than its client can take at once, messages that come meanwhile are stored behind the rest, so
 * order is kept however slow the client is, and nobody else waits.  Source: XEP-0160 section 2, XEP-0203. */
#ifndef POSTERN_BACKEND_OFFLINE_RUN_H
#define POSTERN_BACKEND_OFFLINE_RUN_H

struct session;
struct user;

struct offline_run;

/* offline_run_begin - the session takes messages from now on: read the queue for it, unless another session of the user
 * is given it already. */
void offline_run_begin(struct user *user, struct session *session);

/* offline_run_continue - the client has taken or acknowledged something, or has come back: go on, if that was waited
 * for. */
void offline_run_continue(struct session *session);

/* offline_run_end - the session has left or takes no messages any more: what it has not been given is for the next. */
void offline_run_end(struct session *session);

#endif
