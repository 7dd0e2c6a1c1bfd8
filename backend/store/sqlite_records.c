#include "backend/store/sqlite_records.h"

#include "backend/store/sqlite_owner.h"
#include "lib/log.h"

#include <string.h>

/* read_text - a column as a text; NULL when it is none that this program would write, with a NUL within. */
static const char *read_text(sqlite3_stmt *st, int column)
{
    const char *text = (const char *)sqlite3_column_text(st, column);
    return text && strlen(text) == (size_t)sqlite3_column_bytes(st, column) ? text : NULL;
}

/* Of a queue only whether there is anything in it. */
static enum sqlite_statement statement_of(enum store_kind kind, const char *wanted)
{
    if (kind == STORE_OFFLINE) return SQLITE_QUEUE_ANY_SQL;
    return wanted ? SQLITE_RECORD_GET_SQL : SQLITE_RECORDS_GET_SQL;
}

static enum store_status get_kind(struct sqlite_engine *s, int64_t id, enum store_kind kind, const char *wanted,
                                  struct store_records *out)
{
    sqlite3_stmt *st = sqlite_owner_bind(s, statement_of(kind, wanted), id, kind);
    enum store_status status = STORE_OK;
    int result = SQLITE_ERROR;

    if (st && wanted) sqlite3_bind_text(st, 3, wanted, -1, SQLITE_STATIC);
    while (status == STORE_OK && (result = sqlite_engine_step(st)) == SQLITE_ROW) {
        const char *key = read_text(st, 0), *value = read_text(st, 1);
        if (key && value) {
            store_records_add(out, kind, key, value);
        } else {
            log_msg(LOG_LEVEL_ERROR, "store_tampered", "a record of the kind %s is not what this program writes",
                    store_kind_name(kind));
            status = STORE_FAILED;
        }
    }
    if (status == STORE_OK && result != SQLITE_DONE) status = sqlite_engine_failed(s, "records_get");
    sqlite_engine_done(st);
    return status;
}

enum store_status sqlite_records_get(void *engine, const char *owner, unsigned kinds, const char *key,
                                     struct store_records *out)
{
    struct sqlite_engine *s = engine;
    int64_t id;
    enum store_status status = s->batch != STORE_OK ? s->batch : sqlite_owner_get(s, owner, &id);

    if (status == STORE_NOT_FOUND && !strchr(owner, '@')) return STORE_OK;
    for (int kind = 0; kind < STORE_KINDS && status == STORE_OK; kind++)
        if (kinds & 1u << kind) status = get_kind(s, id, (enum store_kind)kind, key, out);
    return status;
}

struct change {
    const char *owner;
    const struct store_record *changes;
    size_t count;
};

static enum store_status change_one(struct sqlite_engine *s, int64_t id, const struct store_record *change)
{
    sqlite3_stmt *st =
        sqlite_owner_bind(s, change->value ? SQLITE_RECORD_SET_SQL : SQLITE_RECORD_DEL_SQL, id, change->kind);

    if (st) {
        sqlite3_bind_text(st, 3, change->key, -1, SQLITE_STATIC);
        if (change->value) sqlite3_bind_text(st, 4, change->value, -1, SQLITE_STATIC);
    }
    return sqlite_engine_finish(s, st);
}

static enum store_status write_changes(struct sqlite_engine *s, const void *arg)
{
    const struct change *change = arg;
    int64_t id;
    enum store_status status = sqlite_owner_need(s, change->owner, &id);

    for (size_t i = 0; i < change->count && status == STORE_OK; i++)
        status = change_one(s, id, &change->changes[i]);
    return status;
}

enum store_status sqlite_records_change(void *engine, const char *owner, const struct store_record *changes,
                                        size_t count)
{
    struct change change = {.owner = owner, .changes = changes, .count = count};
    return sqlite_engine_write(engine, write_changes, &change);
}
