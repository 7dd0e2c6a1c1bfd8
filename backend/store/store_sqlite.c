#include "backend/store/store_engine.h"

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Row i takes a database from version i (PRAGMA user_version) to i + 1.  Rows are only ever added. */
static const char *const MIGRATIONS[] = {
    "CREATE TABLE account ("
    " local TEXT NOT NULL,"
    " domain TEXT NOT NULL,"
    " PRIMARY KEY (domain, local)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE account_scram ("
    " local TEXT NOT NULL,"
    " domain TEXT NOT NULL,"
    " hash TEXT NOT NULL,"
    " iterations INTEGER NOT NULL,"
    " salt BLOB NOT NULL,"
    " stored_key BLOB NOT NULL,"
    " server_key BLOB NOT NULL,"
    " PRIMARY KEY (domain, local, hash),"
    " FOREIGN KEY (domain, local) REFERENCES account (domain, local) ON DELETE CASCADE"
    ") STRICT, WITHOUT ROWID;",
};

enum { SCHEMA_VERSION = ARRAY_LEN(MIGRATIONS), ITERATIONS_MAX = 100 * 1000 * 1000 };

static const struct {
    const char *name; /* as in the mechanism's name and in the table */
    size_t key_len;
} HASHES[STORE_HASHES] = {
    [STORE_HASH_SHA1] = {"SHA-1", 20}, [STORE_HASH_SHA256] = {"SHA-256", 32}, [STORE_HASH_SHA512] = {"SHA-512", 64}};

enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    SAVE,
    SAVE_KEEP,
    SAVE_UNDO,
    ACCOUNT_HAS,
    ACCOUNT_ADD,
    ACCOUNT_DEL,
    ACCOUNT_LIST,
    KEYS_GET,
    KEYS_ADD,
    KEYS_DEL,
    STATEMENTS
};

static const char *const SQL[STATEMENTS] = {
    [BEGIN] = "BEGIN",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [SAVE] = "SAVEPOINT operation",
    [SAVE_KEEP] = "RELEASE operation",
    [SAVE_UNDO] = "ROLLBACK TO operation",
    [ACCOUNT_HAS] = "SELECT 1 FROM account WHERE local = ?1 AND domain = ?2",
    [ACCOUNT_ADD] = "INSERT INTO account (local, domain) VALUES (?1, ?2)",
    [ACCOUNT_DEL] = "DELETE FROM account WHERE local = ?1 AND domain = ?2",
    [ACCOUNT_LIST] = "SELECT local, domain FROM account WHERE ?1 IS NULL OR domain = ?1",
    [KEYS_GET] = ("SELECT iterations, salt, stored_key, server_key FROM account_scram"
                  " WHERE local = ?1 AND domain = ?2 AND hash = ?3"),
    [KEYS_ADD] = ("INSERT INTO account_scram (local, domain, hash, iterations, salt, stored_key, server_key)"
                  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"),
    [KEYS_DEL] = "DELETE FROM account_scram WHERE local = ?1 AND domain = ?2",
};

struct store_sqlite {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS]; /* prepared when first used */
    enum store_status batch;              /* not STORE_OK: SQLite has rolled the batch back, and nothing more may run */
};

/* failed - log what SQLite says, and what it means to the caller. */
static enum store_status failed(struct store_sqlite *s, const char *doing)
{
    int code = sqlite3_extended_errcode(s->db);

    log_msg(LOG_LEVEL_ERROR, "store_error", "%s: %s (SQLite error %d)", doing, sqlite3_errmsg(s->db), code);
    return (code & 0xff) == SQLITE_FULL ? STORE_FULL : STORE_FAILED;
}

static sqlite3_stmt *statement(struct store_sqlite *s, enum statement which)
{
    sqlite3_stmt **place = &s->statements[which];

    if (!*place && sqlite3_prepare_v3(s->db, SQL[which], -1, SQLITE_PREPARE_PERSISTENT, place, NULL) != SQLITE_OK)
        *place = NULL;
    return *place;
}

/* step - run a statement that has been bound (NULL: it could not be prepared) to its next row or its end. */
static int step(sqlite3_stmt *st)
{
    return st ? sqlite3_step(st) : SQLITE_ERROR;
}

static void done(sqlite3_stmt *st)
{
    if (!st) return;
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
}

static sqlite3_stmt *bound(struct store_sqlite *s, enum statement which, const char *local, const char *domain)
{
    sqlite3_stmt *st = statement(s, which);

    if (!st) return NULL;
    if (sqlite3_bind_text(st, 1, local, -1, SQLITE_STATIC) != SQLITE_OK) return NULL;
    if (sqlite3_bind_text(st, 2, domain, -1, SQLITE_STATIC) != SQLITE_OK) return NULL;
    return st;
}

static enum store_status finish(struct store_sqlite *s, sqlite3_stmt *st)
{
    enum store_status status = step(st) == SQLITE_DONE ? STORE_OK : failed(s, st ? sqlite3_sql(st) : "prepare");

    done(st);
    return status;
}

static enum store_status run(struct store_sqlite *s, enum statement which)
{
    return finish(s, statement(s, which));
}

static enum store_status sqlite_begin(void *engine)
{
    struct store_sqlite *s = engine;

    s->batch = run(s, BEGIN);
    return s->batch;
}

static enum store_status sqlite_commit(void *engine)
{
    struct store_sqlite *s = engine;
    enum store_status status = s->batch != STORE_OK ? s->batch : run(s, COMMIT);

    if (!sqlite3_get_autocommit(s->db)) (void)run(s, ROLLBACK);
    return status;
}

/* after_failure - an operation that failed is undone alone; if that cannot be, the whole batch is given up. */
static enum store_status after_failure(struct store_sqlite *s, enum store_status status)
{
    if (!sqlite3_get_autocommit(s->db) && run(s, SAVE_UNDO) == STORE_OK && run(s, SAVE_KEEP) == STORE_OK) return status;
    s->batch = status == STORE_FULL ? STORE_FULL : STORE_FAILED;
    return status;
}

/* in_savepoint - run a write so that it changes all or nothing. */
static enum store_status in_savepoint(struct store_sqlite *s, const struct store_account *account,
                                      enum store_status (*write)(struct store_sqlite *, const struct store_account *))
{
    if (s->batch != STORE_OK) return s->batch;
    enum store_status status = run(s, SAVE);
    if (status != STORE_OK) {
        s->batch = status;
        return status;
    }
    status = write(s, account);
    if (status == STORE_OK) status = run(s, SAVE_KEEP);
    return status == STORE_OK ? STORE_OK : after_failure(s, status);
}

static enum store_status account_has(struct store_sqlite *s, const char *local, const char *domain)
{
    sqlite3_stmt *st = bound(s, ACCOUNT_HAS, local, domain);
    int result = step(st);
    enum store_status status = result == SQLITE_ROW    ? STORE_OK
                               : result == SQLITE_DONE ? STORE_NOT_FOUND
                                                       : failed(s, "account_has");
    done(st);
    return status;
}

static enum store_status add_keys(struct store_sqlite *s, const struct store_account *account)
{
    for (int hash = 0; hash < STORE_HASHES; hash++) {
        const struct store_scram_keys *keys = &account->keys[hash];
        if (keys->key_len == 0) continue;
        sqlite3_stmt *st = bound(s, KEYS_ADD, account->local, account->domain);
        if (st) {
            sqlite3_bind_text(st, 3, HASHES[hash].name, -1, SQLITE_STATIC);
            sqlite3_bind_int64(st, 4, keys->iterations);
            sqlite3_bind_blob(st, 5, keys->salt, (int)keys->salt_len, SQLITE_STATIC);
            sqlite3_bind_blob(st, 6, keys->stored_key, (int)keys->key_len, SQLITE_STATIC);
            sqlite3_bind_blob(st, 7, keys->server_key, (int)keys->key_len, SQLITE_STATIC);
        }
        enum store_status status = finish(s, st);
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

static enum store_status get_keys(struct store_sqlite *s, int hash, struct store_account *out)
{
    sqlite3_stmt *st = bound(s, KEYS_GET, out->local, out->domain);
    enum store_status status = STORE_OK;

    if (st) sqlite3_bind_text(st, 3, HASHES[hash].name, -1, SQLITE_STATIC);
    int result = step(st);
    if (result == SQLITE_ROW && !read_keys(st, hash, &out->keys[hash])) {
        log_msg(LOG_LEVEL_ERROR, "store_tampered", "the %s keys of %s@%s are not what this program writes",
                HASHES[hash].name, out->local, out->domain);
        status = STORE_FAILED;
    } else if (result != SQLITE_ROW && result != SQLITE_DONE) {
        status = failed(s, "get_keys");
    }
    done(st);
    return status;
}

static enum store_status sqlite_account_get(void *engine, const char *local, const char *domain,
                                            struct store_account *out)
{
    struct store_sqlite *s = engine;
    enum store_status status = s->batch != STORE_OK ? s->batch : account_has(s, local, domain);

    if (status != STORE_OK) return status;
    snprintf(out->local, sizeof out->local, "%s", local);
    snprintf(out->domain, sizeof out->domain, "%s", domain);
    for (int hash = 0; hash < STORE_HASHES && status == STORE_OK; hash++)
        status = get_keys(s, hash, out);
    return status;
}

static enum store_status write_add(struct store_sqlite *s, const struct store_account *account)
{
    enum store_status status = account_has(s, account->local, account->domain);

    if (status == STORE_OK) return STORE_EXISTS;
    if (status != STORE_NOT_FOUND) return status;
    status = finish(s, bound(s, ACCOUNT_ADD, account->local, account->domain));
    return status == STORE_OK ? add_keys(s, account) : status;
}

static enum store_status write_set_keys(struct store_sqlite *s, const struct store_account *account)
{
    enum store_status status = account_has(s, account->local, account->domain);

    if (status == STORE_OK) status = finish(s, bound(s, KEYS_DEL, account->local, account->domain));
    return status == STORE_OK ? add_keys(s, account) : status;
}

static enum store_status write_del(struct store_sqlite *s, const struct store_account *account)
{
    enum store_status status = finish(s, bound(s, ACCOUNT_DEL, account->local, account->domain));

    return status == STORE_OK && sqlite3_changes(s->db) == 0 ? STORE_NOT_FOUND : status;
}

static enum store_status sqlite_account_add(void *engine, const struct store_account *account)
{
    return in_savepoint(engine, account, write_add);
}

static enum store_status sqlite_account_set_keys(void *engine, const struct store_account *account)
{
    return in_savepoint(engine, account, write_set_keys);
}

static enum store_status sqlite_account_del(void *engine, const char *local, const char *domain)
{
    struct store_account account = {0};

    snprintf(account.local, sizeof account.local, "%s", local);
    snprintf(account.domain, sizeof account.domain, "%s", domain);
    return in_savepoint(engine, &account, write_del);
}

static enum store_status sqlite_account_list(void *engine, const char *domain, struct store_names *out)
{
    struct store_sqlite *s = engine;
    int result;

    if (s->batch != STORE_OK) return s->batch;
    sqlite3_stmt *st = statement(s, ACCOUNT_LIST);
    if (st && domain) sqlite3_bind_text(st, 1, domain, -1, SQLITE_STATIC);
    while ((result = step(st)) == SQLITE_ROW)
        store_names_add(out, (const char *)sqlite3_column_text(st, 0), (const char *)sqlite3_column_text(st, 1));
    enum store_status status = result == SQLITE_DONE ? STORE_OK : failed(s, "account_list");
    done(st);
    return status;
}

/* make_private_file - the database exists with mode 0600 before SQLite opens it (its side files copy that mode). */
static int make_private_file(const char *path, char *why, size_t cap)
{
    struct stat st;
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);

    if (fd < 0 || fstat(fd, &st) != 0) {
        snprintf(why, cap, "%s: %s", path, strerror(errno));
        if (fd >= 0) close(fd);
        return -1;
    }
    close(fd);
    if (S_ISREG(st.st_mode) && !(st.st_mode & (S_IRWXG | S_IRWXO))) return 0;
    snprintf(why, cap, "%s: not a private file (mode %04o): run `chmod 600 %s`", path, (unsigned)(st.st_mode & 07777),
             path);
    return -1;
}

/* pragma_number - the first column of a one-row query, or -1. */
static int64_t pragma_number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st = NULL;
    int64_t value = -1;

    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
        value = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return value;
}

static int migrate(sqlite3 *db, const char *path, char *why, size_t cap)
{
    int64_t version = pragma_number(db, "PRAGMA user_version");

    if (version < 0) {
        snprintf(why, cap, "%s: %s", path, sqlite3_errmsg(db));
        return -1;
    }
    if (version > SCHEMA_VERSION) {
        snprintf(why, cap, "%s: its schema version %lld is newer than this program's (%d): use the newer program", path,
                 (long long)version, SCHEMA_VERSION);
        return -1;
    }
    for (; version < SCHEMA_VERSION; version++) {
        char *sql = mem_asprintf("BEGIN IMMEDIATE;%sPRAGMA user_version=%lld;COMMIT", MIGRATIONS[version],
                                 (long long)version + 1);
        int result = sqlite3_exec(db, sql, NULL, NULL, NULL);
        free(sql);
        if (result != SQLITE_OK) {
            snprintf(why, cap, "%s: cannot be brought to schema version %lld: %s", path, (long long)version + 1,
                     sqlite3_errmsg(db));
            return -1;
        }
    }
    return 0;
}

static int set_up(sqlite3 *db, const char *path, char *why, size_t cap)
{
    static const char SETTINGS[] = "PRAGMA journal_mode=WAL;"
                                   "PRAGMA synchronous=FULL;"
                                   "PRAGMA foreign_keys=ON;"
                                   "PRAGMA trusted_schema=OFF;"
                                   "PRAGMA cell_size_check=ON;"
                                   "PRAGMA temp_store=MEMORY;";
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, 5000);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (sqlite3_exec(db, SETTINGS, NULL, NULL, NULL) != SQLITE_OK) {
        snprintf(why, cap, "%s: %s", path, sqlite3_errmsg(db));
        return -1;
    }
    return migrate(db, path, why, cap);
}

static void sqlite_close(void *engine)
{
    struct store_sqlite *s = engine;

    for (size_t i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(s->statements[i]);
    if (sqlite3_close(s->db) != SQLITE_OK) log_msg(LOG_LEVEL_ERROR, "store_error", "close: %s", sqlite3_errmsg(s->db));
    free(s);
}

static void *sqlite_open(const char *folder, char *why, size_t cap)
{
    if (proc_check_private(folder, 0, why, cap) != 0) return NULL;
    struct store_sqlite *s = MEM_NEW(struct store_sqlite);
    char *path = mem_asprintf("%s/postern.sqlite", folder);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    bool opened = false;

    if (make_private_file(path, why, cap) == 0) {
        if (sqlite3_open_v2(path, &s->db, flags, NULL) != SQLITE_OK)
            snprintf(why, cap, "%s: %s", path, s->db ? sqlite3_errmsg(s->db) : "no memory");
        else
            opened = set_up(s->db, path, why, cap) == 0;
    }
    free(path);
    if (opened) return s;
    sqlite_close(s);
    return NULL;
}

const struct store_engine STORE_SQLITE = {
    .name = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .account_get = sqlite_account_get,
    .account_add = sqlite_account_add,
    .account_set_keys = sqlite_account_set_keys,
    .account_del = sqlite_account_del,
    .account_list = sqlite_account_list,
};
