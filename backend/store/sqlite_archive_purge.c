#include "backend/store/sqlite_archive_purge.h"

#include "backend/store/sqlite_archive.h"
#include "backend/store/sqlite_recent.h"

/* So many rows at a time: about a millisecond. */
enum { PURGE_ROWS = 500 };

static sqlite3_stmt *bound(struct sqlite_engine *s, enum sqlite_statement which, int64_t owner)
{
    sqlite3_stmt *st = sqlite_engine_statement(s, which);

    if (st) sqlite3_bind_int64(st, 1, owner);
    return st;
}

/* read_two - the first row's numbers; both stay as they are when there is none. */
static enum store_status read_two(struct sqlite_engine *s, sqlite3_stmt *st, uint64_t *a, uint64_t *b)
{
    const int result = sqlite_engine_step(st);
    enum store_status status = STORE_OK;

    if (result == SQLITE_ROW) {
        *a = (uint64_t)sqlite3_column_int64(st, 0);
        *b = (uint64_t)sqlite3_column_int64(st, 1);
    } else if (result != SQLITE_DONE) {
        status = sqlite_engine_failed(s, "archive_size");
    }
    sqlite_engine_done(st);
    return status;
}

static void add_recent(const struct recent_owner *owner, struct store_archive_size *size)
{
    for (size_t i = 0; i < owner->count; i++) {
        struct recent_record record;
        recent_entry_read(&owner->items[i], &record);
        size->entries++;
        size->bytes += record.entry.len;
    }
    if (size->entries == 0) return;
    size->last = owner->last;
    if (size->first == 0) size->first = owner->items[0].id;
}

static enum store_status measure(struct sqlite_engine *s, const struct recent_owner *owner,
                                 struct store_archive_size *size)
{
    uint64_t bytes;

    *size = (struct store_archive_size){0};
    enum store_status status = read_two(s, bound(s, SQLITE_SIZE_GET_SQL, owner->number), &size->entries, &size->bytes);
    if (status == STORE_OK && size->entries > 0)
        status = read_two(s, bound(s, SQLITE_ARCHIVE_FIRST_SQL, owner->number), &size->first, &bytes);
    if (status == STORE_OK) add_recent(owner, size);
    return status;
}

enum store_status sqlite_archive_size(void *engine, const char *jid, struct store_archive_size *size)
{
    struct recent_owner *owner;
    const enum store_status status = sqlite_recent_owner(engine, jid, &owner);

    return status == STORE_OK ? measure(engine, owner, size) : status;
}

struct purge {
    int64_t owner;
    const struct store_archive_keep *keep; /* NULL: nothing may stay */
    struct store_archive_size size;
    struct store_archive_purged gone; /* of the table */
    uint64_t last;                    /* of it */
    bool ended;                       /* nothing in the table is too much any more */
};

static enum store_status choose_rows(struct sqlite_engine *s, struct purge *purge)
{
    sqlite3_stmt *st = bound(s, SQLITE_ARCHIVE_FIRST_SQL, purge->owner);
    enum store_status status = STORE_OK;
    int result = SQLITE_ROW;

    while (purge->gone.entries < PURGE_ROWS && (result = sqlite_engine_step(st)) == SQLITE_ROW) {
        const uint64_t id = (uint64_t)sqlite3_column_int64(st, 0);
        purge->ended = purge->keep && store_archive_may_stay(purge->keep, &purge->size, id);
        if (purge->ended) break;
        purge->last = id;
        store_archive_took(&purge->size, &purge->gone, (uint64_t)sqlite3_column_int64(st, 1));
    }
    if (result == SQLITE_DONE)
        purge->ended = true;
    else if (result != SQLITE_ROW)
        status = sqlite_engine_failed(s, "archive_purge");
    sqlite_engine_done(st);
    return status;
}

static enum store_status delete_rows(struct sqlite_engine *s, const struct purge *purge)
{
    if (purge->gone.entries == 0) return STORE_OK;
    sqlite3_stmt *st = bound(s, SQLITE_ARCHIVE_DEL_SQL, purge->owner);
    if (st) sqlite3_bind_int64(st, 2, (int64_t)purge->last);
    const enum store_status status = sqlite_engine_finish(s, st);
    if (status != STORE_OK) return status;
    return sqlite_archive_count(s, purge->owner, -(int64_t)purge->gone.entries, -(int64_t)purge->gone.bytes);
}

/* purge_recent - what is in the log, when the table has nothing that must go any more. */
static void purge_recent(struct sqlite_engine *s, struct recent_owner *owner, struct purge *purge)
{
    uint64_t last = purge->last;

    for (size_t i = 0; i < owner->count; i++) {
        struct recent_record record;
        recent_entry_read(&owner->items[i], &record);
        if (store_archive_may_stay(purge->keep, &purge->size, record.entry.id)) break;
        last = record.entry.id;
        store_archive_took(&purge->size, &purge->gone, record.entry.len);
    }
    /* Also what the log only has a copy of. */
    if (last > 0) recent_cut(&s->recent, owner, last);
}

static enum store_status write_purge(struct sqlite_engine *s, const void *arg)
{
    struct purge *purge = *(struct purge *const *)arg;
    enum store_status status = choose_rows(s, purge);

    return status == STORE_OK ? delete_rows(s, purge) : status;
}

enum store_status sqlite_archive_purge(void *engine, const char *jid, const struct store_archive_keep *keep,
                                       struct store_archive_purged *purged, bool *more)
{
    struct sqlite_engine *s = engine;
    struct recent_owner *owner;
    struct purge purge = {.keep = keep}, *pointer = &purge;
    enum store_status status = sqlite_recent_owner(s, jid, &owner);

    *more = false;
    if (status == STORE_OK) status = measure(s, owner, &purge.size);
    if (status != STORE_OK) return status;
    if (purge.size.entries > 0 && !store_archive_may_stay(keep, &purge.size, purge.size.first)) {
        purge.owner = owner->number;
        status = sqlite_engine_write(s, write_purge, &pointer);
        if (status != STORE_OK) return status;
        if (purge.ended) purge_recent(s, owner, &purge);
        *more = !purge.ended;
    }
    purged->entries += purge.gone.entries;
    purged->bytes += purge.gone.bytes;
    status = measure(s, owner, &purge.size);
    if (purge.size.first > 0) store_archive_left(purged, purge.size.first);
    return status;
}

static enum store_status clear_gone(struct sqlite_engine *s, const void *arg)
{
    struct purge *purge = *(struct purge *const *)arg;
    enum store_status status = choose_rows(s, purge);

    if (status == STORE_OK) status = delete_rows(s, purge);
    if (status != STORE_OK || !purge->ended) return status;
    status = sqlite_engine_finish(s, bound(s, SQLITE_SIZE_DEL_SQL, purge->owner));
    return status == STORE_OK ? sqlite_engine_finish(s, bound(s, SQLITE_GONE_DEL_SQL, purge->owner)) : status;
}

bool sqlite_archive_tidy(void *engine)
{
    struct sqlite_engine *s = engine;
    struct purge purge = {0}, *pointer = &purge;
    uint64_t owner = 0, none;

    if (!s->archive_gone) return false;
    s->archive_gone = false;
    s->batch = STORE_OK;
    sqlite3_stmt *st = sqlite_engine_statement(s, SQLITE_GONE_FIRST_SQL);
    if (read_two(s, st, &owner, &none) != STORE_OK || owner == 0) return false;
    if (sqlite_engine_begin(s) != STORE_OK) return false;
    purge.owner = (int64_t)owner;
    (void)sqlite_engine_write(s, clear_gone, &pointer);
    s->archive_gone = sqlite_engine_commit(s) == STORE_OK;
    return s->archive_gone;
}
