#include "backend/store/sqlite_owner.h"

#include "backend/store/sqlite_recent.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

static sqlite3_stmt *bind_jid(struct sqlite_engine *s, enum sqlite_statement which, const char *jid)
{
    sqlite3_stmt *st = sqlite_engine_statement(s, which);

    if (st && sqlite3_bind_text(st, 1, jid, -1, SQLITE_STATIC) != SQLITE_OK) return NULL;
    return st;
}

enum store_status sqlite_owner_get(struct sqlite_engine *s, const char *jid, int64_t *id)
{
    sqlite3_stmt *st = bind_jid(s, SQLITE_OWNER_GET_SQL, jid);
    const int result = sqlite_engine_step(st);
    enum store_status status = STORE_NOT_FOUND;

    if (result == SQLITE_ROW) {
        *id = sqlite3_column_int64(st, 0);
        status = STORE_OK;
    } else if (result != SQLITE_DONE) {
        status = sqlite_engine_failed(s, "owner_get");
    }
    sqlite_engine_done(st);
    return status;
}

static enum store_status add(struct sqlite_engine *s, const char *jid)
{
    return sqlite_engine_finish(s, bind_jid(s, SQLITE_OWNER_ADD_SQL, jid));
}

enum store_status sqlite_owner_need(struct sqlite_engine *s, const char *jid, int64_t *id)
{
    enum store_status status = sqlite_owner_get(s, jid, id);

    if (status != STORE_NOT_FOUND || strchr(jid, '@')) return status;
    status = add(s, jid);
    *id = sqlite3_last_insert_rowid(s->db);
    return status;
}

enum store_status sqlite_owner_add(struct sqlite_engine *s, const char *local, const char *domain)
{
    char *jid = mem_asprintf("%s@%s", local, domain);
    enum store_status status = add(s, jid);

    free(jid);
    return status;
}

enum store_status sqlite_owner_del(struct sqlite_engine *s, const char *local, const char *domain)
{
    char *jid = mem_asprintf("%s@%s", local, domain);
    enum store_status status = sqlite_recent_account_gone(s, jid);

    if (status == STORE_OK) status = sqlite_engine_finish(s, bind_jid(s, SQLITE_OWNER_DEL_SQL, jid));
    free(jid);
    return status;
}

sqlite3_stmt *sqlite_owner_bind(struct sqlite_engine *s, enum sqlite_statement which, int64_t id, enum store_kind kind)
{
    sqlite3_stmt *st = sqlite_engine_statement(s, which);

    if (!st || sqlite3_bind_int64(st, 1, id) != SQLITE_OK) return NULL;
    if (sqlite3_bind_text(st, 2, store_kind_name(kind), -1, SQLITE_STATIC) != SQLITE_OK) return NULL;
    return st;
}
