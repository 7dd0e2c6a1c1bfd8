#include "backend/store/sqlite_engine.h"

#include "backend/store/sqlite_fault.h"
#include "backend/store/sqlite_recent.h"
#include "lib/log.h"

#include <errno.h>

/* A checkpoint writes so many pages into the database (4 MiB), then the log is begun anew. */
enum { CHECKPOINT_PAGES = 1000 };

static const char *const SQL[SQLITE_STATEMENTS] = {
#define SQLITE_STATEMENT(id, sql) [SQLITE_##id##_SQL] = (sql),
#include "backend/store/sqlite_statements.def"
#undef SQLITE_STATEMENT
};

static int last_errno(sqlite3_file *file)
{
    int error = 0;

    if (!file || !file->pMethods) return 0;
    return file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &error) == SQLITE_OK ? error : 0;
}

/* is_full - also when it is a quota, or a limit of the service, that leaves no room.  The reason stays with the file:
 * errno has been changed by then. */
static bool is_full(sqlite3 *db, int code)
{
    static const int POINTERS[] = {SQLITE_FCNTL_FILE_POINTER, SQLITE_FCNTL_JOURNAL_POINTER};

    if ((code & 0xff) == SQLITE_FULL || code == SQLITE_IOERR_SHMSIZE) return true;
    if (code != SQLITE_IOERR_WRITE && code != SQLITE_IOERR_FSYNC && code != SQLITE_IOERR_TRUNCATE) return false;
    for (size_t i = 0; i < ARRAY_LEN(POINTERS); i++) {
        sqlite3_file *file = NULL;
        (void)sqlite3_file_control(db, "main", POINTERS[i], &file);
        const int error = last_errno(file);
        if (error == ENOSPC || error == EDQUOT || error == EFBIG) return true;
    }
    return false;
}

enum store_status sqlite_engine_failed(struct sqlite_engine *s, const char *doing)
{
    const int code = sqlite3_extended_errcode(s->db);

    const bool full = is_full(s->db, code);

    /* A full disk is told once, not for every write that it refuses. */
    if (!full || !s->full)
        log_msg(LOG_LEVEL_ERROR, full ? "store_full" : "store_error", "%s: %s (SQLite error %d)", doing,
                sqlite3_errmsg(s->db), code);
    s->full |= full;
    return full ? STORE_FULL : STORE_FAILED;
}

sqlite3_stmt *sqlite_engine_statement(struct sqlite_engine *s, enum sqlite_statement which)
{
    sqlite3_stmt **place = &s->statements[which];

    if (!*place && sqlite3_prepare_v3(s->db, SQL[which], -1, SQLITE_PREPARE_PERSISTENT, place, NULL) != SQLITE_OK)
        *place = NULL;
    return *place;
}

int64_t sqlite_engine_number(uint64_t number)
{
    return number > INT64_MAX ? INT64_MAX : (int64_t)number;
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

    s->wrote = false;
    s->batch = run(s, SQLITE_BEGIN_SQL);
    return s->batch;
}

enum store_status sqlite_engine_commit(void *engine)
{
    struct sqlite_engine *s = engine;

    if (s->wrote) fault_point(FAULT_STORE_BEFORE_COMMIT);
    enum store_status status = s->batch != STORE_OK ? s->batch : sqlite_recent_commit(s);
    sqlite_fault_arm(FAULT_STORE_IN_COMMIT);
    if (status == STORE_OK) status = run(s, SQLITE_COMMIT_SQL);
    sqlite_fault_disarm();
    if (!sqlite3_get_autocommit(s->db)) (void)run(s, SQLITE_ROLLBACK_SQL);
    if (status != STORE_OK) sqlite_counts_forget(&s->counts);
    sqlite_recent_committed(s, status == STORE_OK);
    if (s->wrote) fault_point(FAULT_STORE_AFTER_COMMIT);
    if (s->wrote && s->full && status == STORE_OK) {
        log_msg(LOG_LEVEL_INFO, "store_room", "there is room on the disk again");
        s->full = false;
    }
    return status;
}

static int on_committed(void *arg, sqlite3 *db, const char *name, int pages)
{
    struct sqlite_engine *s = arg;

    (void)db;
    (void)name;
    s->wal_pages = pages;
    return SQLITE_OK;
}

void sqlite_engine_watch(struct sqlite_engine *s)
{
    (void)sqlite3_wal_hook(s->db, on_committed, s);
}

/* What a reader on another connection still needs stays in the log, and so does all after a failure: the next one tries
 * again when more has come. */
void sqlite_engine_rest(void *engine)
{
    struct sqlite_engine *s = engine;
    int pages = s->wal_pages, moved = 0;

    if (s->wal_pages < s->checkpoint_at || s->wal_pages < CHECKPOINT_PAGES) return;
    sqlite_fault_arm(FAULT_STORE_IN_CHECKPOINT);
    if (sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &moved) != SQLITE_OK)
        (void)sqlite_engine_failed(s, "checkpoint");
    sqlite_fault_disarm();
    s->checkpoint_at = moved == pages ? 0 : s->wal_pages + CHECKPOINT_PAGES;
    s->wal_pages = 0;
}

/* after_failure - an operation that failed is undone alone; if that cannot be, the whole batch is given up. */
static enum store_status after_failure(struct sqlite_engine *s, enum store_status status)
{
    if (status == STORE_FULL || status == STORE_FAILED) sqlite_counts_forget(&s->counts);
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
    s->wrote = true;
    enum store_status status = run(s, SQLITE_SAVE_SQL);
    if (status != STORE_OK) {
        s->batch = status;
        return status;
    }
    status = write(s, arg);
    if (status == STORE_OK) status = run(s, SQLITE_SAVE_KEEP_SQL);
    return status == STORE_OK ? STORE_OK : after_failure(s, status);
}

void sqlite_engine_forget(struct sqlite_engine *s)
{
    for (size_t i = 0; i < SQLITE_STATEMENTS; i++)
        sqlite3_finalize(s->statements[i]);
    sqlite_counts_forget(&s->counts);
    sqlite_recent_forget(s);
}
