#include "backend/store/sqlite_archive.h"

#include "backend/store/sqlite_recent.h"
#include "lib/log.h"

#include <string.h>

/* bound - a statement whose first parameter is the owner; NULL as with sqlite_engine_statement. */
static sqlite3_stmt *bound(struct sqlite_engine *s, enum sqlite_statement which, int64_t owner)
{
    sqlite3_stmt *st = sqlite_engine_statement(s, which);

    if (st) sqlite3_bind_int64(st, 1, owner);
    return st;
}

static int64_t stamp_of(int64_t id, int64_t shift_ms)
{
    return id / 1000 + shift_ms;
}

void sqlite_archive_bind(struct sqlite3_stmt *st, const struct store_archived *entry)
{
    const int64_t id = sqlite_engine_number(entry->id);

    sqlite3_bind_int64(st, 2, id);
    sqlite3_bind_int64(st, 3, entry->stamp_ms - stamp_of(id, 0));
    sqlite3_bind_text(st, 4, entry->with_bare, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 5, entry->with_resource, -1, SQLITE_STATIC);
    sqlite3_bind_text64(st, 6, entry->text, entry->len, SQLITE_STATIC, SQLITE_UTF8);
}

enum store_status sqlite_archive_count(struct sqlite_engine *s, int64_t owner, int64_t entries, int64_t bytes)
{
    sqlite3_stmt *st = bound(s, SQLITE_SIZE_CHANGE_SQL, owner);

    if (st) {
        sqlite3_bind_int64(st, 2, entries);
        sqlite3_bind_int64(st, 3, bytes);
    }
    return sqlite_engine_finish(s, st);
}

enum store_status sqlite_archive_add(void *engine, const char *jid, const struct store_archived *entry)
{
    struct sqlite_engine *s = engine;
    struct recent_owner *owner;
    const enum store_status status = sqlite_recent_owner(s, jid, &owner);

    if (status != STORE_OK) return status;
    if (entry->id <= owner->last) return STORE_EXISTS;
    s->wrote = true;
    recent_add(&s->recent, owner, entry);
    return STORE_OK;
}

static enum store_status tampered(void)
{
    log_msg(LOG_LEVEL_ERROR, "store_tampered", "an entry of an archive is not what this program writes");
    return STORE_FAILED;
}

/* read_text - a column as a text; NULL when it is none that this program would write, with a NUL within. */
static const char *read_text(sqlite3_stmt *st, int column)
{
    const char *text = (const char *)sqlite3_column_text(st, column);
    return text && strlen(text) == (size_t)sqlite3_column_bytes(st, column) ? text : NULL;
}

enum store_status sqlite_archive_last(void *engine, const char *jid, uint64_t *id)
{
    struct recent_owner *owner;
    const enum store_status status = sqlite_recent_owner(engine, jid, &owner);

    *id = status == STORE_OK ? owner->last : 0;
    return status;
}

static enum store_status scan_rows(struct sqlite_engine *s, sqlite3_stmt *st, struct store_archive_scan *scan)
{
    int result;

    while ((result = sqlite_engine_step(st)) == SQLITE_ROW) {
        const uint64_t id = (uint64_t)sqlite3_column_int64(st, 0);
        const char *bare = read_text(st, 1), *resource = read_text(st, 2);
        if (!bare || !resource) return tampered();
        if (!store_archive_scan_see(scan, id, bare, resource)) return STORE_OK;
    }
    if (result != SQLITE_DONE) return sqlite_engine_failed(s, "archive_scan");
    scan->ended = true;
    return STORE_OK;
}

static enum store_status scan_table(struct sqlite_engine *s, int64_t owner, struct store_archive_scan *scan)
{
    sqlite3_stmt *st = bound(s, scan->backwards ? SQLITE_ARCHIVE_BACKWARD_SQL : SQLITE_ARCHIVE_FORWARD_SQL, owner);

    if (st) {
        sqlite3_bind_int64(st, 2, sqlite_engine_number(scan->low));
        sqlite3_bind_int64(st, 3, sqlite_engine_number(scan->high));
    }
    const enum store_status status = scan_rows(s, st, scan);
    sqlite_engine_done(st);
    return status;
}

/* What is in the log is newer than all in the table. */
enum store_status sqlite_archive_scan(void *engine, const char *jid, struct store_archive_scan *scan)
{
    struct recent_owner *owner;
    enum store_status status = sqlite_recent_owner(engine, jid, &owner);

    scan->ended = false;
    if (status != STORE_OK) return status;
    if (scan->backwards) {
        recent_scan(owner, scan);
        if (!scan->ended) return STORE_OK;
        scan->ended = false;
    }
    status = scan_table(engine, owner->number, scan);
    if (status != STORE_OK || !scan->ended || scan->backwards) return status;
    scan->ended = false;
    recent_scan(owner, scan);
    return STORE_OK;
}

static enum store_status fetch_row(sqlite3_stmt *st, uint64_t id, struct store_archive_found *out)
{
    const struct store_archived entry = {.id = id,
                                         .stamp_ms = stamp_of((int64_t)id, sqlite3_column_int64(st, 0)),
                                         .with_bare = read_text(st, 1),
                                         .with_resource = read_text(st, 2),
                                         .text = read_text(st, 3),
                                         .len = (size_t)sqlite3_column_bytes(st, 3)};

    if (!entry.with_bare || !entry.with_resource || !entry.text) return tampered();
    store_archive_found_add(out, &entry);
    return STORE_OK;
}

enum store_status sqlite_archive_fetch(void *engine, const char *jid, uint64_t id, struct store_archive_found *out)
{
    struct sqlite_engine *s = engine;
    struct recent_owner *owner;
    struct store_archived entry;
    enum store_status status = sqlite_recent_owner(s, jid, &owner);

    if (status != STORE_OK) return status;
    if (recent_find(owner, id, &entry)) {
        store_archive_found_add(out, &entry);
        return STORE_OK;
    }
    sqlite3_stmt *st = bound(s, SQLITE_ARCHIVE_FETCH_SQL, owner->number);
    if (st) sqlite3_bind_int64(st, 2, sqlite_engine_number(id));
    const int result = sqlite_engine_step(st);
    if (result == SQLITE_ROW)
        status = fetch_row(st, id, out);
    else
        status = result == SQLITE_DONE ? STORE_NOT_FOUND : sqlite_engine_failed(s, "archive_fetch");
    sqlite_engine_done(st);
    return status;
}
