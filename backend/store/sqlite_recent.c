#include "backend/store/sqlite_recent.h"

#include "backend/store/sqlite_archive.h"
#include "backend/store/sqlite_owner.h"
#include "lib/log.h"
#include "lib/map.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

/* More than LOG_BYTES in the log is moved, MOVES_MIN entries and two for each that was added at a time.  So many owners
 * are remembered that have nothing in it. */
enum { LOG_BYTES = 4 * 1024 * 1024, MOVES_MIN = 64, OWNERS_MAX = 20000, GONE_STEP = 16 };

static enum store_status read_number(struct sqlite_engine *s, enum sqlite_statement which, int64_t number, int64_t *out)
{
    sqlite3_stmt *st = sqlite_engine_statement(s, which);
    enum store_status status = STORE_OK;

    if (st) sqlite3_bind_int64(st, 1, number);
    const int result = sqlite_engine_step(st);
    if (result == SQLITE_ROW)
        *out = sqlite3_column_int64(st, 0);
    else
        status = result == SQLITE_DONE ? STORE_NOT_FOUND : sqlite_engine_failed(s, "archive_owner");
    sqlite_engine_done(st);
    return status;
}

/* make_owner - of whom nothing is known yet. */
static enum store_status make_owner(struct sqlite_engine *s, int64_t number, struct recent_owner **out)
{
    int64_t last = 0;
    const enum store_status status = read_number(s, SQLITE_ARCHIVE_LAST_SQL, number, &last);

    if (status != STORE_OK && status != STORE_NOT_FOUND) return status;
    *out = recent_owner_new(&s->recent, number, (uint64_t)last);
    return STORE_OK;
}

/* load_record - what is in its archive already, or is no account's any more, is left out. */
static enum store_status load_record(struct sqlite_engine *s, struct recent_chunk *chunk, size_t offset,
                                     const struct recent_record *record)
{
    struct recent_owner *owner = recent_owner_find(&s->recent, record->owner);
    int64_t there;

    if (!owner) {
        enum store_status status = read_number(s, SQLITE_OWNER_HAS_SQL, record->owner, &there);
        if (status == STORE_NOT_FOUND) return STORE_OK;
        if (status == STORE_OK) status = make_owner(s, record->owner, &owner);
        if (status != STORE_OK) return status;
    }
    if (record->cut)
        recent_take_to(&s->recent, owner, record->entry.id);
    else if (record->entry.id > owner->last)
        recent_note(&s->recent, owner, record->entry.id, chunk, offset);
    return STORE_OK;
}

static enum store_status load_chunk(struct sqlite_engine *s, int64_t seq, const void *data, size_t len)
{
    struct recent_chunk *chunk = recent_chunk_new(&s->recent, seq, len + 1);
    enum store_status status = STORE_OK;
    struct recent_record record;
    size_t offset = 0;
    int result;

    if (len > 0) memcpy(chunk->data, data, len);
    chunk->len = len;
    s->recent.bytes += len;
    while (status == STORE_OK && (result = recent_read(chunk->data, chunk->len, offset, &record)) != 0) {
        if (result < 0) {
            log_msg(LOG_LEVEL_ERROR, "store_tampered", "the log of archives is not what this program writes");
            return STORE_FAILED;
        }
        status = load_record(s, chunk, offset, &record);
        offset = record.end;
    }
    return status;
}

static enum store_status load(struct sqlite_engine *s)
{
    enum store_status status = STORE_OK;
    int result = SQLITE_ERROR;

    if (s->recent.loaded) return STORE_OK;
    recent_begin(&s->recent);
    sqlite3_stmt *st = sqlite_engine_statement(s, SQLITE_LOG_LOAD_SQL);
    while (status == STORE_OK && (result = sqlite_engine_step(st)) == SQLITE_ROW)
        status =
            load_chunk(s, sqlite3_column_int64(st, 0), sqlite3_column_blob(st, 1), (size_t)sqlite3_column_bytes(st, 1));
    if (status == STORE_OK && result != SQLITE_DONE) status = sqlite_engine_failed(s, "log_load");
    sqlite_engine_done(st);
    if (status != STORE_OK) recent_forget(&s->recent);
    return status;
}

enum store_status sqlite_recent_owner(struct sqlite_engine *s, const char *jid, struct recent_owner **out)
{
    enum store_status status = s->batch != STORE_OK ? s->batch : load(s);
    int64_t number;

    if (status != STORE_OK) return status;
    *out = s->recent_by_jid ? map_get_str(s->recent_by_jid, jid) : NULL;
    if (*out) return STORE_OK;
    if (!strchr(jid, '@')) return STORE_NOT_FOUND;
    status = sqlite_owner_get(s, jid, &number);
    if (status != STORE_OK) return status;
    *out = recent_owner_find(&s->recent, number);
    if (!*out) status = make_owner(s, number, out);
    if (status != STORE_OK) return status;
    if (!s->recent_by_jid) s->recent_by_jid = map_new();
    (void)map_set_str(s->recent_by_jid, jid, *out);
    s->recent_known++;
    return STORE_OK;
}

static enum store_status move_entry(struct sqlite_engine *s, int64_t number, const struct store_archived *entry)
{
    sqlite3_stmt *st = sqlite_engine_statement(s, SQLITE_ARCHIVE_ADD_SQL);

    if (st) {
        sqlite3_bind_int64(st, 1, number);
        sqlite_archive_bind(st, entry);
    }
    return sqlite_engine_finish(s, st);
}

/* move_entries - at most so many of one owner. */
static enum store_status move_entries(struct sqlite_engine *s, struct recent_owner *owner, size_t count)
{
    enum store_status status = STORE_OK;
    int64_t bytes = 0;

    for (size_t i = 0; i < count && status == STORE_OK; i++) {
        struct recent_record record;
        recent_entry_read(&owner->items[i], &record);
        status = move_entry(s, owner->number, &record.entry);
        bytes += (int64_t)record.entry.len;
    }
    if (status == STORE_OK) status = sqlite_archive_count(s, owner->number, (int64_t)count, bytes);
    if (status == STORE_OK) recent_take(&s->recent, owner, count);
    return status;
}

static enum store_status clear_log(struct sqlite_engine *s)
{
    enum store_status status = STORE_OK;
    struct recent_chunk *chunk;

    while (status == STORE_OK && (chunk = recent_chunk_done(&s->recent))) {
        sqlite3_stmt *st = sqlite_engine_statement(s, SQLITE_LOG_DEL_SQL);
        if (st) sqlite3_bind_int64(st, 1, chunk->seq);
        status = sqlite_engine_finish(s, st);
        recent_chunk_free(&s->recent, chunk);
    }
    return status;
}

/* move_some - so many entries at most, until the log has no more than these bytes. */
static enum store_status move_some(struct sqlite_engine *s, size_t moves, size_t bytes)
{
    enum store_status status = s->recent.bytes > bytes ? clear_log(s) : STORE_OK;
    struct recent_owner *owner;

    while (status == STORE_OK && moves > 0 && s->recent.bytes > bytes && (owner = recent_oldest(&s->recent))) {
        const size_t count = owner->count < moves ? owner->count : moves;
        moves -= count;
        status = move_entries(s, owner, count);
        if (status == STORE_OK) status = clear_log(s);
    }
    return status;
}

enum store_status sqlite_recent_account_gone(struct sqlite_engine *s, const char *jid)
{
    int64_t number;
    enum store_status status = sqlite_owner_get(s, jid, &number);

    if (status != STORE_OK) return status;
    sqlite3_stmt *st = sqlite_engine_statement(s, SQLITE_GONE_ADD_SQL);
    if (st) sqlite3_bind_int64(st, 1, number);
    status = sqlite_engine_finish(s, st);
    if (status != STORE_OK) return status;
    s->archive_gone = true;
    if (s->recent_by_jid) (void)map_del_str(s->recent_by_jid, jid);
    if (s->recent_gone_count % GONE_STEP == 0)
        s->recent_gone = mem_realloc(s->recent_gone, (s->recent_gone_count + GONE_STEP) * sizeof *s->recent_gone);
    s->recent_gone[s->recent_gone_count++] = number;
    return STORE_OK;
}

/* drop_gone - unless the deletion was undone. */
static enum store_status drop_gone(struct sqlite_engine *s)
{
    enum store_status status = STORE_OK;

    for (size_t i = 0; i < s->recent_gone_count && s->recent.loaded && status == STORE_OK; i++) {
        int64_t there;
        struct recent_owner *owner = recent_owner_find(&s->recent, s->recent_gone[i]);
        if (!owner) continue;
        status = read_number(s, SQLITE_OWNER_HAS_SQL, owner->number, &there);
        if (status != STORE_NOT_FOUND) continue;
        recent_owner_drop(&s->recent, owner);
        status = STORE_OK;
    }
    free(s->recent_gone);
    s->recent_gone = NULL;
    s->recent_gone_count = 0;
    return status;
}

enum store_status sqlite_recent_commit(struct sqlite_engine *s)
{
    enum store_status status = drop_gone(s);
    struct recent_chunk *chunk = s->recent.open;

    if (status != STORE_OK || !chunk) return status;
    sqlite3_stmt *st = sqlite_engine_statement(s, SQLITE_LOG_ADD_SQL);
    if (st) sqlite3_bind_blob64(st, 1, chunk->data, chunk->len, SQLITE_STATIC);
    status = sqlite_engine_finish(s, st);
    if (status != STORE_OK) return status;
    chunk->seq = sqlite3_last_insert_rowid(s->db);
    return move_some(s, MOVES_MIN + 2 * s->recent.added, LOG_BYTES);
}

/* What was done in memory is undone by reading it again, when it is needed. */
void sqlite_recent_forget(struct sqlite_engine *s)
{
    recent_forget(&s->recent);
    map_free(&s->recent_by_jid);
    free(s->recent_gone);
    s->recent_gone = NULL;
    s->recent_known = s->recent_gone_count = 0;
}

void sqlite_recent_committed(struct sqlite_engine *s, bool done)
{
    if (!done || s->recent_known > OWNERS_MAX) {
        sqlite_recent_forget(s);
        return;
    }
    s->recent.open = NULL;
    s->recent.added = 0;
}

void sqlite_recent_settle(struct sqlite_engine *s)
{
    if (load(s) != STORE_OK || sqlite_engine_begin(s) != STORE_OK) return;
    s->batch = move_some(s, SIZE_MAX, 0);
    (void)sqlite_engine_commit(s);
}
