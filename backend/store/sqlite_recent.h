/* sqlite_recent - the log of archives in the database.
 *
 * A message is committed as part of its batch's chunk, one row for all archives, and moved to its archive later, with
 * others of its owner: each commit moves about as much as it adds, once there is more than enough in the log. */
#ifndef POSTERN_BACKEND_STORE_SQLITE_RECENT_H
#define POSTERN_BACKEND_STORE_SQLITE_RECENT_H

#include "backend/store/sqlite_engine.h"

/* sqlite_recent_owner - what the log has of an account.  STORE_NOT_FOUND: no such account. */
enum store_status sqlite_recent_owner(struct sqlite_engine *s, const char *jid, struct recent_owner **out);

/* sqlite_recent_commit - what this batch has added goes into the transaction.  After a commit, or its failure,
 * sqlite_recent_committed is due. */
enum store_status sqlite_recent_commit(struct sqlite_engine *s);
void sqlite_recent_committed(struct sqlite_engine *s, bool done);

/* sqlite_recent_settle - all of the log goes into the archives: before the database is closed. */
void sqlite_recent_settle(struct sqlite_engine *s);

/* sqlite_recent_forget - free what is in memory. */
void sqlite_recent_forget(struct sqlite_engine *s);

/* sqlite_recent_account_gone - before it goes, within a batch.  STORE_NOT_FOUND: there is none. */
enum store_status sqlite_recent_account_gone(struct sqlite_engine *s, const char *jid);

#endif
