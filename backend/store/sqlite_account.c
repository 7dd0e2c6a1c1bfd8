#include "backend/store/sqlite_account.h"

#include "backend/store/sqlite_owner.h"
#include "lib/log.h"

#include <stdio.h>
#include <string.h>

enum { ITERATIONS_MAX = 100 * 1000 * 1000 };

static const struct {
    const char *name; /* as in the mechanism's name and in the table */
    size_t key_len;
} HASHES[STORE_HASHES] = {
    [STORE_HASH_SHA1] = {"SHA-1", 20}, [STORE_HASH_SHA256] = {"SHA-256", 32}, [STORE_HASH_SHA512] = {"SHA-512", 64}};

static sqlite3_stmt *bound(struct sqlite_engine *s, enum sqlite_statement which, const char *local, const char *domain)
{
    sqlite3_stmt *st = sqlite_engine_statement(s, which);

    if (!st) return NULL;
    if (sqlite3_bind_text(st, 1, local, -1, SQLITE_STATIC) != SQLITE_OK) return NULL;
    if (sqlite3_bind_text(st, 2, domain, -1, SQLITE_STATIC) != SQLITE_OK) return NULL;
    return st;
}

static enum store_status account_has(struct sqlite_engine *s, const char *local, const char *domain, bool *disabled)
{
    sqlite3_stmt *st = bound(s, SQLITE_ACCOUNT_HAS_SQL, local, domain);
    int result = sqlite_engine_step(st);
    enum store_status status = result == SQLITE_ROW    ? STORE_OK
                               : result == SQLITE_DONE ? STORE_NOT_FOUND
                                                       : sqlite_engine_failed(s, "account_has");
    if (status == STORE_OK && disabled) *disabled = sqlite3_column_int(st, 0) != 0;
    sqlite_engine_done(st);
    return status;
}

static enum store_status add_keys(struct sqlite_engine *s, const struct store_account *account)
{
    for (int hash = 0; hash < STORE_HASHES; hash++) {
        const struct store_scram_keys *keys = &account->keys[hash];
        if (keys->key_len == 0) continue;
        sqlite3_stmt *st = bound(s, SQLITE_KEYS_ADD_SQL, account->local, account->domain);
        if (st) {
            sqlite3_bind_text(st, 3, HASHES[hash].name, -1, SQLITE_STATIC);
            sqlite3_bind_int64(st, 4, keys->iterations);
            sqlite3_bind_blob(st, 5, keys->salt, (int)keys->salt_len, SQLITE_STATIC);
            sqlite3_bind_blob(st, 6, keys->stored_key, (int)keys->key_len, SQLITE_STATIC);
            sqlite3_bind_blob(st, 7, keys->server_key, (int)keys->key_len, SQLITE_STATIC);
        }
        enum store_status status = sqlite_engine_finish(s, st);
        if (status != STORE_OK) return status;
    }
    return STORE_OK;
}

static bool copy_blob(sqlite3_stmt *st, int column, uint8_t *out, size_t min, size_t max, size_t *len)
{
    const void *data = sqlite3_column_blob(st, column);
    *len = (size_t)sqlite3_column_bytes(st, column);

    if (!data || *len < min || *len > max) return false;
    memcpy(out, data, *len);
    return true;
}

/* read_keys - a row as keys; false when somebody else wrote it: we never store such a row. */
static bool read_keys(sqlite3_stmt *st, int hash, struct store_scram_keys *keys)
{
    int64_t iterations = sqlite3_column_int64(st, 0);
    size_t wanted = HASHES[hash].key_len, server_len;

    if (iterations < 1 || iterations > ITERATIONS_MAX) return false;
    keys->iterations = (uint32_t)iterations;
    return copy_blob(st, 1, keys->salt, 1, sizeof keys->salt, &keys->salt_len) &&
           copy_blob(st, 2, keys->stored_key, wanted, wanted, &keys->key_len) &&
           copy_blob(st, 3, keys->server_key, wanted, wanted, &server_len);
}

static enum store_status get_keys(struct sqlite_engine *s, int hash, struct store_account *out)
{
    sqlite3_stmt *st = bound(s, SQLITE_KEYS_GET_SQL, out->local, out->domain);
    enum store_status status = STORE_OK;

    if (st) sqlite3_bind_text(st, 3, HASHES[hash].name, -1, SQLITE_STATIC);
    int result = sqlite_engine_step(st);
    if (result == SQLITE_ROW && !read_keys(st, hash, &out->keys[hash])) {
        log_msg(LOG_LEVEL_ERROR, "store_tampered", "the %s keys of %s@%s are not what this program writes",
                HASHES[hash].name, out->local, out->domain);
        status = STORE_FAILED;
    } else if (result != SQLITE_ROW && result != SQLITE_DONE) {
        status = sqlite_engine_failed(s, "get_keys");
    }
    sqlite_engine_done(st);
    return status;
}

enum store_status sqlite_account_get(void *engine, const char *local, const char *domain, struct store_account *out)
{
    struct sqlite_engine *s = engine;
    enum store_status status = s->batch != STORE_OK ? s->batch : account_has(s, local, domain, &out->disabled);

    if (status != STORE_OK && status != STORE_NOT_FOUND) return status;
    /* For an account that is not there the same is asked: whoever measures the time shall not learn it. */
    snprintf(out->local, sizeof out->local, "%s", local);
    snprintf(out->domain, sizeof out->domain, "%s", domain);
    for (int hash = 0; hash < STORE_HASHES; hash++) {
        const enum store_status found = get_keys(s, hash, out);
        if (found != STORE_OK) return found;
    }
    return status;
}

static enum store_status write_add(struct sqlite_engine *s, const void *arg)
{
    const struct store_account *account = arg;
    enum store_status status = account_has(s, account->local, account->domain, NULL);

    if (status == STORE_OK) return STORE_EXISTS;
    if (status != STORE_NOT_FOUND) return status;
    sqlite3_stmt *st = bound(s, SQLITE_ACCOUNT_ADD_SQL, account->local, account->domain);
    if (st) sqlite3_bind_int(st, 3, account->disabled);
    status = sqlite_engine_finish(s, st);
    if (status == STORE_OK) status = sqlite_owner_add(s, account->local, account->domain);
    return status == STORE_OK ? add_keys(s, account) : status;
}

static enum store_status write_set_keys(struct sqlite_engine *s, const void *arg)
{
    const struct store_account *account = arg;
    enum store_status status = account_has(s, account->local, account->domain, NULL);

    if (status == STORE_OK)
        status = sqlite_engine_finish(s, bound(s, SQLITE_KEYS_DEL_SQL, account->local, account->domain));
    return status == STORE_OK ? add_keys(s, account) : status;
}

static enum store_status write_disabled(struct sqlite_engine *s, const void *arg)
{
    const struct store_account *account = arg;
    sqlite3_stmt *st = bound(s, SQLITE_ACCOUNT_DISABLE_SQL, account->local, account->domain);

    if (st) sqlite3_bind_int(st, 3, account->disabled);
    enum store_status status = sqlite_engine_finish(s, st);
    return status == STORE_OK && sqlite3_changes(s->db) == 0 ? STORE_NOT_FOUND : status;
}

static enum store_status write_del(struct sqlite_engine *s, const void *arg)
{
    const struct store_account *account = arg;
    enum store_status status =
        sqlite_engine_finish(s, bound(s, SQLITE_ACCOUNT_DEL_SQL, account->local, account->domain));

    if (status == STORE_OK && sqlite3_changes(s->db) == 0) status = STORE_NOT_FOUND;
    return status == STORE_OK ? sqlite_owner_del(s, account->local, account->domain) : status;
}

enum store_status sqlite_account_add(void *engine, const struct store_account *account)
{
    return sqlite_engine_write(engine, write_add, account);
}

enum store_status sqlite_account_set_keys(void *engine, const struct store_account *account)
{
    return sqlite_engine_write(engine, write_set_keys, account);
}

static struct store_account named(const char *local, const char *domain)
{
    struct store_account account = {0};

    snprintf(account.local, sizeof account.local, "%s", local);
    snprintf(account.domain, sizeof account.domain, "%s", domain);
    return account;
}

enum store_status sqlite_account_set_disabled(void *engine, const char *local, const char *domain, bool disabled)
{
    struct store_account account = named(local, domain);

    account.disabled = disabled;
    return sqlite_engine_write(engine, write_disabled, &account);
}

enum store_status sqlite_account_del(void *engine, const char *local, const char *domain)
{
    const struct store_account account = named(local, domain);

    return sqlite_engine_write(engine, write_del, &account);
}

enum store_status sqlite_account_shapes(void *engine, const char *domain, struct store_shapes *out)
{
    struct sqlite_engine *s = engine;
    int result;

    if (s->batch != STORE_OK) return s->batch;
    sqlite3_stmt *st = sqlite_engine_statement(s, SQLITE_ACCOUNT_SHAPES_SQL);
    if (st) sqlite3_bind_text(st, 1, domain, -1, SQLITE_STATIC);
    while ((result = sqlite_engine_step(st)) == SQLITE_ROW) {
        struct store_shape shape = {0};
        for (int hash = 0; hash < STORE_HASHES; hash++) {
            shape.iterations[hash] = (uint32_t)sqlite3_column_int64(st, 1 + 2 * hash);
            shape.salt_len[hash] = (size_t)sqlite3_column_int64(st, 2 + 2 * hash);
        }
        store_shapes_add(out, &shape, (uint64_t)sqlite3_column_int64(st, 0));
    }
    enum store_status status = result == SQLITE_DONE ? STORE_OK : sqlite_engine_failed(s, "account_shapes");
    sqlite_engine_done(st);
    return status;
}

enum store_status sqlite_account_list(void *engine, const char *domain, bool disabled, struct store_names *out)
{
    struct sqlite_engine *s = engine;
    int result;

    if (s->batch != STORE_OK) return s->batch;
    sqlite3_stmt *st = sqlite_engine_statement(s, SQLITE_ACCOUNT_LIST_SQL);
    if (st && domain) sqlite3_bind_text(st, 1, domain, -1, SQLITE_STATIC);
    if (st) sqlite3_bind_int(st, 2, disabled);
    while ((result = sqlite_engine_step(st)) == SQLITE_ROW)
        store_names_add(out, (const char *)sqlite3_column_text(st, 0), (const char *)sqlite3_column_text(st, 1));
    enum store_status status = result == SQLITE_DONE ? STORE_OK : sqlite_engine_failed(s, "account_list");
    sqlite_engine_done(st);
    return status;
}
