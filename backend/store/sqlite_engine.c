#include "backend/store/sqlite_engine.h"

#include "lib/log.h"

static const char *const SQL[SQLITE_STATEMENTS] = {
#define SQLITE_STATEMENT(id, sql) [SQLITE_##id##_SQL] = (sql),
#include "backend/store/sqlite_statements.def"
#undef SQLITE_STATEMENT
};

enum store_status sqlite_engine_failed(struct sqlite_engine *s, const char *doing)
{
    const int code = sqlite3_extended_errcode(s->db);

    log_msg(LOG_LEVEL_ERROR, "store_error", "%s: %s (SQLite error %d)", doing, sqlite3_errmsg(s->db), code);
    return (code & 0xff) == SQLITE_FULL ? STORE_FULL : STORE_FAILED;
}

sqlite3_stmt *sqlite_engine_statement(struct sqlite_engine *s, enum sqlite_statement which)
{
    sqlite3_stmt **place = &s->statements[which];

    if (!*place && sqlite3_prepare_v3(s->db, SQL[which], -1, SQLITE_PREPARE_PERSISTENT, place, NULL) != SQLITE_OK)
        *place = NULL;
    return *place;
}

int sqlite_engine_step(sqlite3_stmt *st)
{
    return st ? sqlite3_step(st) : SQLITE_ERROR;
}

void sqlite_engine_done(sqlite3_stmt *st)
{
    if (!st) return;
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
}

enum store_status sqlite_engine_finish(struct sqlite_engine *s, sqlite3_stmt *st)
{
    enum store_status status = STORE_OK;

    if (sqlite_engine_step(st) != SQLITE_DONE) status = sqlite_engine_failed(s, st ? sqlite3_sql(st) : "prepare");
    sqlite_engine_done(st);
    return status;
}

static enum store_status run(struct sqlite_engine *s, enum sqlite_statement which)
{
    return sqlite_engine_finish(s, sqlite_engine_statement(s, which));
}

enum store_status sqlite_engine_begin(void *engine)
{
    struct sqlite_engine *s = engine;

    s->batch = run(s, SQLITE_BEGIN_SQL);
    return s->batch;
}

enum store_status sqlite_engine_commit(void *engine)
{
    struct sqlite_engine *s = engine;
    enum store_status status = s->batch != STORE_OK ? s->batch : run(s, SQLITE_COMMIT_SQL);

    if (!sqlite3_get_autocommit(s->db)) (void)run(s, SQLITE_ROLLBACK_SQL);
    return status;
}

/* after_failure - an operation that failed is undone alone; if that cannot be, the whole batch is given up. */
static enum store_status after_failure(struct sqlite_engine *s, enum store_status status)
{
    if (!sqlite3_get_autocommit(s->db) && run(s, SQLITE_SAVE_UNDO_SQL) == STORE_OK &&
        run(s, SQLITE_SAVE_KEEP_SQL) == STORE_OK)
        return status;
    s->batch = status == STORE_FULL ? STORE_FULL : STORE_FAILED;
    return status;
}

enum store_status sqlite_engine_write(struct sqlite_engine *s,
                                      enum store_status (*write)(struct sqlite_engine *s, const void *arg),
                                      const void *arg)
{
    if (s->batch != STORE_OK) return s->batch;
    enum store_status status = run(s, SQLITE_SAVE_SQL);
    if (status != STORE_OK) {
        s->batch = status;
        return status;
    }
    status = write(s, arg);
    if (status == STORE_OK) status = run(s, SQLITE_SAVE_KEEP_SQL);
    return status == STORE_OK ? STORE_OK : after_failure(s, status);
}
