#include "backend/store/sqlite_check.h"

#include "backend/elem_parse.h"
#include "backend/store/sqlite_account.h"
#include "backend/store/sqlite_engine.h"
#include "lib/mem.h"
#include "lib/utf8.h"

#include <stdlib.h>
#include <string.h>

/* How often SQLite asks whether to stop: after so many of its instructions. */
enum { STOP_INTERVAL = 10000 };

struct sqlite_check {
    struct sqlite_engine engine; /* of the check's own connection */
    struct store_check *check;
    struct xml *parser; /* for values */
};

static int shall_stop(void *arg)
{
    const struct store_check *check = arg;
    return atomic_load(check->stop);
}

/* each_row - call fn for every row of a query.  STORE_FAILED: stopped, or the query itself fails, which is a fault. */
static enum store_status each_row(struct sqlite_check *c, const char *sql,
                                  void (*fn)(struct sqlite_check *c, sqlite3_stmt *st))
{
    sqlite3_stmt *st = NULL;
    int result = sqlite3_prepare_v2(c->engine.db, sql, -1, &st, NULL);

    if (result == SQLITE_OK) {
        while ((result = sqlite3_step(st)) == SQLITE_ROW)
            fn(c, st);
    }
    if (result != SQLITE_DONE && result != SQLITE_INTERRUPT)
        store_check_fault(c->check, "%s: %s", sql, sqlite3_errmsg(c->engine.db));
    sqlite3_finalize(st);
    return result == SQLITE_INTERRUPT ? STORE_FAILED : STORE_OK;
}

static const char *text_of(sqlite3_stmt *st, int column)
{
    const char *text = (const char *)sqlite3_column_text(st, column);
    return text ? text : "";
}

static void on_integrity(struct sqlite_check *c, sqlite3_stmt *st)
{
    if (strcmp(text_of(st, 0), "ok") != 0) store_check_fault(c->check, "the file: %s", text_of(st, 0));
}

static void on_foreign_key(struct sqlite_check *c, sqlite3_stmt *st)
{
    store_check_fault(c->check, "%s, row %s: belongs to no %s", text_of(st, 0), text_of(st, 1), text_of(st, 2));
}

static void on_account(struct sqlite_check *c, sqlite3_stmt *st)
{
    struct store_account account = {0};
    const char *local = text_of(st, 0), *domain = text_of(st, 1);

    c->check->findings.accounts++;
    if (sqlite_account_get(&c->engine, local, domain, &account) != STORE_OK)
        store_check_fault(c->check, "%s@%s: the keys of this account are not readable", local, domain);
    mem_wipe(&account, sizeof account);
    if (sqlite3_column_int(st, 2) == 0)
        store_check_fault(c->check, "%s@%s: an account for which nothing can be kept", local, domain);
}

static void on_stray_owner(struct sqlite_check *c, sqlite3_stmt *st)
{
    store_check_fault(c->check, "%s: things are kept for it, but it is no account", text_of(st, 0));
}

/* A text that this program would write: no byte of it is NUL, it is UTF-8, and one element if it looks like one. */
static bool is_readable(struct sqlite_check *c, sqlite3_stmt *st, int column)
{
    const char *text = text_of(st, column);
    const size_t len = (size_t)sqlite3_column_bytes(st, column);

    if (strlen(text) != len || !utf8_is_text(text)) return false;
    if (text[0] != '<') return true;
    struct elem *elem = elem_parse(&c->parser, text, len);
    const bool readable = elem != NULL;
    elem_free(&elem);
    return readable;
}

static void on_record(struct sqlite_check *c, sqlite3_stmt *st)
{
    const char *owner = text_of(st, 0), *kind = text_of(st, 1);

    c->check->findings.records++;
    if (store_kind_find(kind) == STORE_KINDS) store_check_fault(c->check, "%s: a record of no known kind", owner);
    if (!is_readable(c, st, 2) || !is_readable(c, st, 3))
        store_check_fault(c->check, "%s: a record of the kind \"%s\" is not readable", owner, kind);
}

static void on_entry(struct sqlite_check *c, sqlite3_stmt *st)
{
    const char *owner = text_of(st, 0), *kind = text_of(st, 1);

    c->check->findings.entries++;
    if (store_kind_find(kind) == STORE_KINDS) store_check_fault(c->check, "%s: an entry of no known kind", owner);
    if (sqlite3_column_int64(st, 2) < 1 || !is_readable(c, st, 3))
        store_check_fault(c->check, "%s: entry %s of the kind \"%s\" is not readable", owner, text_of(st, 2), kind);
}

static void on_archived(struct sqlite_check *c, sqlite3_stmt *st)
{
    const char *owner = text_of(st, 0);

    c->check->findings.entries++;
    if (!*owner) store_check_fault(c->check, "an archived message belongs to nobody");
    if (sqlite3_column_int64(st, 1) < 1 || !is_readable(c, st, 2) || !is_readable(c, st, 3) || !is_readable(c, st, 4))
        store_check_fault(c->check, "%s: archived message %s is not readable", owner, text_of(st, 1));
}

static void on_archive_size(struct sqlite_check *c, sqlite3_stmt *st)
{
    store_check_fault(c->check, "%s: its archive says that it has %s messages with %s bytes, which it has not",
                      text_of(st, 0), text_of(st, 1), text_of(st, 2));
}

static void on_archive_log(struct sqlite_check *c, sqlite3_stmt *st)
{
    const char *data = sqlite3_column_blob(st, 0);
    const size_t len = (size_t)sqlite3_column_bytes(st, 0);
    struct recent_record record;
    size_t offset = 0;
    int result;

    while ((result = recent_read(data, len, offset, &record)) == 1) {
        c->check->findings.entries++;
        offset = record.end;
    }
    if (result < 0) store_check_fault(c->check, "the log of archives is not readable");
}

static enum store_status check_all(struct sqlite_check *c)
{
    static const struct {
        const char *sql;
        void (*fn)(struct sqlite_check *c, sqlite3_stmt *st);
    } QUERIES[] = {
        {"BEGIN", on_integrity}, /* no rows: all of it is about one moment */
        {"PRAGMA integrity_check", on_integrity},
        {"PRAGMA foreign_key_check", on_foreign_key},
        {"SELECT local, domain, EXISTS (SELECT 1 FROM owner WHERE jid = local || '@' || domain) FROM account",
         on_account},
        {"SELECT jid FROM owner WHERE instr(jid, '@') AND NOT EXISTS (SELECT 1 FROM account"
         " WHERE local = substr(jid, 1, instr(jid, '@') - 1) AND domain = substr(jid, instr(jid, '@') + 1))",
         on_stray_owner},
        {"SELECT jid, kind, key, value FROM record JOIN owner ON owner.id = record.owner", on_record},
        {"SELECT jid, kind, queue.id, text FROM queue JOIN owner ON owner.id = queue.owner", on_entry},
        {"SELECT coalesce(jid, CASE WHEN g.owner IS NULL THEN '' ELSE 'a deleted account' END), a.id, with_bare,"
         " with_resource, text FROM archive a LEFT JOIN owner ON owner.id = a.owner"
         " LEFT JOIN archive_gone g ON g.owner = a.owner",
         on_archived},
        {"SELECT coalesce(jid, 'a deleted account'), entries, bytes FROM archive_size s"
         " LEFT JOIN owner ON owner.id = s.owner WHERE (entries, bytes) IS NOT"
         " (SELECT count(*), coalesce(sum(length(CAST(text AS BLOB))), 0) FROM archive WHERE archive.owner = s.owner)",
         on_archive_size},
        {"SELECT data FROM archive_log", on_archive_log},
    };
    enum store_status status = STORE_OK;

    for (size_t i = 0; i < ARRAY_LEN(QUERIES) && status == STORE_OK; i++)
        status = each_row(c, QUERIES[i].sql, QUERIES[i].fn);
    return status;
}

enum store_status sqlite_check(const char *folder, struct store_check *check)
{
    struct sqlite_check c = {.check = check};
    char *path = mem_asprintf("%s/postern.sqlite", folder);
    enum store_status status = STORE_FAILED;

    if (sqlite3_open_v2(path, &c.engine.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK &&
        sqlite3_exec(c.engine.db, "PRAGMA query_only=ON; PRAGMA trusted_schema=OFF", NULL, NULL, NULL) == SQLITE_OK) {
        sqlite3_busy_timeout(c.engine.db, 5000);
        sqlite3_progress_handler(c.engine.db, STOP_INTERVAL, shall_stop, check);
        status = check_all(&c);
    }
    sqlite_engine_forget(&c.engine);
    sqlite3_close(c.engine.db);
    xml_free(&c.parser);
    free(path);
    return status;
}
