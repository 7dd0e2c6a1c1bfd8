/* archive - the messages that users have sent and received go into the store, under ids that are told at once.
 *
 * Nobody is held up by it: what the users of a shard get in one turn of its loop is given to the store together, and
 * the receipt of a message (see receipt.h) is settled when that is safe.  Source: XEP-0313, XEP-0359. */
#ifndef POSTERN_BACKEND_ARCHIVE_H
#define POSTERN_BACKEND_ARCHIVE_H

#include "backend/stanza.h"

#include <stdbool.h>

struct archive;
struct host;
struct shard;
struct user;

struct archive *archive_new(struct shard *shard);
void archive_free(struct archive **archive);

/* archive_host - the host of a user who has an archive; NULL: the user has none. */
const struct host *archive_host(const struct user *user);

/* archive_ask_last - have user->archive_last read, before what the caller reads of the user. */
void archive_ask_last(struct user *user);

/* archive_outgoing - one of the user's sessions sends a message, which is about to be routed.  What it says in the
 * archive's name is taken out, and if it is kept a copy is on its way to the store. */
void archive_outgoing(struct user *user, struct stanza *stanza);

/* archive_incoming - likewise for a message that has arrived for the user and is accepted; its archive_id is set then.
 */
void archive_incoming(struct user *user, struct stanza *stanza);

/* archive_flush - give the store what has been collected; who is about to read an archive must.  Returns whether there
 * was anything. */
bool archive_flush(struct shard *shard);

#endif
