/* sqlite_owner - the numbers by which records and queues name their owners. */
#ifndef POSTERN_BACKEND_STORE_SQLITE_OWNER_H
#define POSTERN_BACKEND_STORE_SQLITE_OWNER_H

#include "backend/store/sqlite_engine.h"

/* sqlite_owner_get - the number of an owner.  STORE_NOT_FOUND: a bare JID without an account, or a domain for which
 * nothing was ever kept. */
enum store_status sqlite_owner_get(struct sqlite_engine *s, const char *jid, int64_t *id);

/* sqlite_owner_need - the same, but a domain gets a number. */
enum store_status sqlite_owner_need(struct sqlite_engine *s, const char *jid, int64_t *id);

/* sqlite_owner_add, sqlite_owner_del - with the account; del takes all it owns along. */
enum store_status sqlite_owner_add(struct sqlite_engine *s, const char *local, const char *domain);
enum store_status sqlite_owner_del(struct sqlite_engine *s, const char *local, const char *domain);

/* sqlite_owner_bind - a statement whose first parameters are owner and kind. */
sqlite3_stmt *sqlite_owner_bind(struct sqlite_engine *s, enum sqlite_statement which, int64_t id, enum store_kind kind);

#endif
