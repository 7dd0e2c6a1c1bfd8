/* announce - a message of the server to people: to one, or to everybody who is logged in. */
#ifndef POSTERN_BACKEND_ANNOUNCE_H
#define POSTERN_BACKEND_ANNOUNCE_H

#include "lib/mailbox.h"

#include <stddef.h>

struct backend;
struct jid;

/* announce_fn - count: to how many users it went. */
typedef void announce_fn(size_t count, void *arg);

/* announce_to_all - a headline from their own host to every user of a host (prepared; NULL: of all) who has a session.
 * subject may be NULL.  From shard 0, where fn is called. */
void announce_to_all(struct backend *backend, const char *domain, const char *subject, const char *text,
                     announce_fn *fn, void *arg);

enum announced { ANNOUNCED, ANNOUNCED_NO_ACCOUNT, ANNOUNCED_NOT_THERE, ANNOUNCED_FAILED };
typedef void announced_fn(enum announced result, void *arg);

/* announce_to - a message from the user's host to a bare or full JID of ours, subject may be NULL.  fn is called on
 * shard 0, not before the call returns: it is on its way; there is no such account (nor guest); nobody has that
 * resource; the store failed.  To a bare JID it is stored when the user is away.  From shard 0. */
void announce_to(struct backend *backend, const struct jid *jid, const char *subject, const char *text,
                 announced_fn *fn, void *arg);

#endif
