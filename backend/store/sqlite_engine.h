/* sqlite_engine - what the parts of the SQLite engine share: statements, batches, errors. */
#ifndef POSTERN_BACKEND_STORE_SQLITE_ENGINE_H
#define POSTERN_BACKEND_STORE_SQLITE_ENGINE_H

#include "backend/store/recent.h"
#include "backend/store/sqlite_counts.h"
#include "backend/store/store_engine.h"

#include <sqlite3.h>

enum sqlite_statement {
#define SQLITE_STATEMENT(id, sql) SQLITE_##id##_SQL,
#include "backend/store/sqlite_statements.def"
#undef SQLITE_STATEMENT
    SQLITE_STATEMENTS
};

struct sqlite_engine {
    sqlite3 *db;
    sqlite3_stmt *statements[SQLITE_STATEMENTS]; /* prepared when first used */
    bool ready;                                  /* open, its schema today's */
    bool wrote;                                  /* in this batch */
    bool full;                                   /* the last write found no room, and the log says so */
    int wal_pages, checkpoint_at;                /* how many are in the write-ahead log, and with how many it is time */
    struct sqlite_counts counts;
    bool archive_gone;         /* there may be archives to clear away */
    struct recent recent;      /* the log of archives */
    struct map *recent_by_jid; /* its owners, of whom somebody has asked; NULL: none */
    size_t recent_known;       /* how many */
    int64_t *recent_gone;      /* numbers of accounts that this batch deletes */
    size_t recent_gone_count;
    enum store_status batch; /* not STORE_OK: SQLite has rolled the batch back, and nothing more may run */
};

/* sqlite_engine_failed - log what SQLite says, and return what it means to the caller. */
enum store_status sqlite_engine_failed(struct sqlite_engine *s, const char *doing);

/* sqlite_engine_statement - prepared, nothing bound; NULL: that failed, and the next call logs it. */
sqlite3_stmt *sqlite_engine_statement(struct sqlite_engine *s, enum sqlite_statement which);

/* sqlite_engine_number - SQLite's numbers have a sign: what is too large for them is their largest. */
int64_t sqlite_engine_number(uint64_t number);

/* sqlite_engine_step - go to the next row or the end; st may be NULL. */
int sqlite_engine_step(sqlite3_stmt *st);

/* sqlite_engine_done - make it ready for the next use; what was bound may go. */
void sqlite_engine_done(sqlite3_stmt *st);

/* sqlite_engine_finish - run a statement without rows to its end. */
enum store_status sqlite_engine_finish(struct sqlite_engine *s, sqlite3_stmt *st);

enum store_status sqlite_engine_begin(void *engine);
enum store_status sqlite_engine_commit(void *engine);
void sqlite_engine_rest(void *engine);

/* sqlite_engine_watch - count what gathers in the write-ahead log, for sqlite_engine_rest. */
void sqlite_engine_watch(struct sqlite_engine *s);

/* sqlite_engine_forget - finalize what was prepared, before the connection is closed. */
void sqlite_engine_forget(struct sqlite_engine *s);

/* sqlite_engine_write - run a write that changes all or nothing. */
enum store_status sqlite_engine_write(struct sqlite_engine *s,
                                      enum store_status (*write)(struct sqlite_engine *s, const void *arg),
                                      const void *arg);

#endif
