#include "backend/store/sqlite_queue.h"

#include "backend/store/sqlite_owner.h"
#include "lib/log.h"

#include <string.h>

struct addition {
    const char *owner;
    enum store_kind kind;
    const struct store_limit *limit;
    struct store_entry *entry;
};

static enum store_status count_entries(struct sqlite_engine *s, int64_t id, enum store_kind kind,
                                       struct sqlite_count *count)
{
    const struct sqlite_count *known = sqlite_counts_find(&s->counts, id, kind);
    enum store_status status = STORE_OK;

    if (known) {
        *count = *known;
        return STORE_OK;
    }
    sqlite3_stmt *st = sqlite_owner_bind(s, SQLITE_QUEUE_COUNT_SQL, id, kind);
    if (sqlite_engine_step(st) != SQLITE_ROW) {
        status = sqlite_engine_failed(s, "queue_count");
    } else {
        count->entries = (uint64_t)sqlite3_column_int64(st, 0);
        count->bytes = (uint64_t)sqlite3_column_int64(st, 1);
    }
    sqlite_engine_done(st);
    if (status == STORE_OK) sqlite_counts_set(&s->counts, id, kind, count);
    return status;
}

static enum store_status check_room(struct sqlite_engine *s, int64_t id, const struct addition *add)
{
    struct sqlite_count count = {0};

    if (add->limit->entries == 0 && add->limit->bytes == 0) return STORE_OK;
    const enum store_status status = count_entries(s, id, add->kind, &count);
    if (status != STORE_OK) return status;
    return store_limit_allows(add->limit, count.entries, count.bytes, add->entry->len) ? STORE_OK : STORE_LIMIT;
}

static enum store_status write_entry(struct sqlite_engine *s, const void *arg)
{
    const struct addition *add = arg;
    int64_t id;
    enum store_status status = sqlite_owner_need(s, add->owner, &id);

    if (status == STORE_OK) status = check_room(s, id, add);
    if (status != STORE_OK) return status;
    sqlite3_stmt *st = sqlite_owner_bind(s, SQLITE_QUEUE_ADD_SQL, id, add->kind);
    if (st) {
        sqlite3_bind_int64(st, 3, add->entry->stamp_ms);
        sqlite3_bind_text64(st, 4, add->entry->text, add->entry->len, SQLITE_STATIC, SQLITE_UTF8);
    }
    status = sqlite_engine_finish(s, st);
    if (status != STORE_OK) return status;
    add->entry->id = (uint64_t)sqlite3_last_insert_rowid(s->db);
    struct sqlite_count *known = sqlite_counts_find(&s->counts, id, add->kind);
    if (known) {
        known->entries++;
        known->bytes += add->entry->len;
    }
    return STORE_OK;
}

enum store_status sqlite_queue_add(void *engine, const char *owner, enum store_kind kind,
                                   const struct store_limit *limit, struct store_entry *entry)
{
    struct addition add = {.owner = owner, .kind = kind, .limit = limit, .entry = entry};
    return sqlite_engine_write(engine, write_entry, &add);
}

/* read_entry - false when somebody else wrote it: we never store such a row. */
static bool read_entry(sqlite3_stmt *st, struct store_entries *out)
{
    const int64_t id = sqlite3_column_int64(st, 0);
    const char *text = (const char *)sqlite3_column_text(st, 2);
    const size_t len = (size_t)sqlite3_column_bytes(st, 2);

    if (id < 1 || !text || strlen(text) != len) return false;
    store_entries_add(out, (uint64_t)id, sqlite3_column_int64(st, 1), text, len);
    return true;
}

static enum store_status get(struct sqlite_engine *s, sqlite3_stmt *st, struct store_entries *out)
{
    enum store_status status = STORE_OK;
    int result = SQLITE_ERROR;

    while (status == STORE_OK && (result = sqlite_engine_step(st)) == SQLITE_ROW) {
        if (read_entry(st, out)) continue;
        log_msg(LOG_LEVEL_ERROR, "store_tampered", "an entry of a queue is not what this program writes");
        status = STORE_FAILED;
    }
    if (status == STORE_OK && result != SQLITE_DONE) status = sqlite_engine_failed(s, "queue_get");
    sqlite_engine_done(st);
    return status;
}

enum store_status sqlite_queue_get(void *engine, const char *owner, enum store_kind kind, uint64_t after, size_t max,
                                   struct store_entries *out)
{
    struct sqlite_engine *s = engine;
    int64_t id;
    enum store_status status = s->batch != STORE_OK ? s->batch : sqlite_owner_get(s, owner, &id);

    if (status == STORE_NOT_FOUND && !strchr(owner, '@')) return STORE_OK;
    if (status != STORE_OK) return status;
    sqlite3_stmt *st = sqlite_owner_bind(s, SQLITE_QUEUE_GET_SQL, id, kind);
    if (st) {
        sqlite3_bind_int64(st, 3, sqlite_engine_number(after));
        sqlite3_bind_int64(st, 4, sqlite_engine_number(max));
    }
    return get(s, st, out);
}

struct removal {
    const char *owner;
    enum store_kind kind;
    const uint64_t *ids; /* NULL: up to last */
    size_t count;
    uint64_t last;
};

static enum store_status del(struct sqlite_engine *s, enum sqlite_statement which, int64_t owner, enum store_kind kind,
                             uint64_t entry)
{
    sqlite3_stmt *st = sqlite_owner_bind(s, which, owner, kind);

    struct sqlite_count *known = sqlite_counts_find(&s->counts, owner, kind);
    enum store_status status = STORE_OK;
    int result;

    if (st) sqlite3_bind_int64(st, 3, sqlite_engine_number(entry));
    while ((result = sqlite_engine_step(st)) == SQLITE_ROW) {
        if (!known) continue;
        known->entries--;
        known->bytes -= (uint64_t)sqlite3_column_int64(st, 0);
    }
    if (result != SQLITE_DONE) status = sqlite_engine_failed(s, "queue_del");
    sqlite_engine_done(st);
    return status;
}

static enum store_status write_removal(struct sqlite_engine *s, const void *arg)
{
    const struct removal *removal = arg;
    int64_t id;
    enum store_status status = sqlite_owner_get(s, removal->owner, &id);

    if (status == STORE_NOT_FOUND && !strchr(removal->owner, '@')) return STORE_OK;
    if (status != STORE_OK) return status;
    if (!removal->ids) return del(s, SQLITE_QUEUE_DEL_TO_SQL, id, removal->kind, removal->last);
    for (size_t i = 0; i < removal->count && status == STORE_OK; i++)
        status = del(s, SQLITE_QUEUE_DEL_SQL, id, removal->kind, removal->ids[i]);
    return status;
}

enum store_status sqlite_queue_del(void *engine, const char *owner, enum store_kind kind, const uint64_t *ids,
                                   size_t count, uint64_t last)
{
    struct removal removal = {.owner = owner, .kind = kind, .ids = ids, .count = count, .last = last};
    return sqlite_engine_write(engine, write_removal, &removal);
}

static enum store_status list(struct sqlite_engine *s, sqlite3_stmt *st, struct store_remotes *out)
{
    int result;

    while ((result = sqlite_engine_step(st)) == SQLITE_ROW) {
        const char *owner = (const char *)sqlite3_column_text(st, 0);
        const struct store_remote remote = {.owner = owner ? owner : "",
                                            .count = (uint64_t)sqlite3_column_int64(st, 1),
                                            .bytes = (uint64_t)sqlite3_column_int64(st, 2),
                                            .oldest_ms = sqlite3_column_int64(st, 3)};
        store_remotes_add(out, &remote);
    }
    enum store_status status = result == SQLITE_DONE ? STORE_OK : sqlite_engine_failed(s, "remote_list");
    sqlite_engine_done(st);
    return status;
}

enum store_status sqlite_remote_list(void *engine, struct store_remotes *out)
{
    struct sqlite_engine *s = engine;

    if (s->batch != STORE_OK) return s->batch;
    return list(s, sqlite_engine_statement(s, SQLITE_REMOTE_LIST_SQL), out);
}
