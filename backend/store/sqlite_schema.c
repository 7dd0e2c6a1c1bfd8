#include "backend/store/sqlite_schema.h"

#include "lib/mem.h"

#include <stdio.h>
#include <stdlib.h>

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
    /* An owner is an account's bare JID or a domain; what it owns goes with it. */
    "CREATE TABLE owner ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " jid TEXT NOT NULL UNIQUE"
    ") STRICT;"
    "INSERT INTO owner (jid) SELECT local || '@' || domain FROM account;"
    "CREATE TABLE record ("
    " owner INTEGER NOT NULL REFERENCES owner (id) ON DELETE CASCADE,"
    " kind TEXT NOT NULL,"
    " key TEXT NOT NULL,"
    " value TEXT NOT NULL,"
    " PRIMARY KEY (owner, kind, key)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE queue ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT," /* no id is ever used again */
    " owner INTEGER NOT NULL REFERENCES owner (id) ON DELETE CASCADE,"
    " kind TEXT NOT NULL,"
    " stamp_ms INTEGER NOT NULL,"
    " text TEXT NOT NULL"
    ") STRICT;"
    "CREATE INDEX queue_owner ON queue (owner, kind);", /* the id is in every index */
    "ALTER TABLE account ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0;",
    /* So that the start finds what waits for other servers among a million of other entries. */
    "CREATE INDEX queue_remote ON queue (owner) WHERE kind = 'remote';",
    /* An account's archive lies together, in the order of its ids: microseconds since 1970, from which shift_ms leads
     * to the stamp. */
    "CREATE TABLE archive ("
    " owner INTEGER NOT NULL," /* or one in archive_gone */
    " id INTEGER NOT NULL,"
    " shift_ms INTEGER NOT NULL,"
    " with_bare TEXT NOT NULL,"
    " with_resource TEXT NOT NULL,"
    " text TEXT NOT NULL,"
    " PRIMARY KEY (owner, id)"
    ") STRICT, WITHOUT ROWID;"
    /* What is committed comes here first, a row for each commit: see recent.h. */
    "CREATE TABLE archive_log ("
    " seq INTEGER PRIMARY KEY,"
    " data BLOB NOT NULL"
    ") STRICT;"
    /* What is in the archives, without the log. */
    "CREATE TABLE archive_size ("
    " owner INTEGER PRIMARY KEY,"
    " entries INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL"
    ") STRICT;"
    /* Owners that are no more, whose archives are cleared away little by little. */
    "CREATE TABLE archive_gone ("
    " owner INTEGER PRIMARY KEY"
    ") STRICT;",
};

enum { SCHEMA_VERSION = ARRAY_LEN(MIGRATIONS) };

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

/* read_version - of the database; -1 and a message: unreadable, or newer than this program. */
static int64_t read_version(sqlite3 *db, const char *path, char *why, size_t cap)
{
    const int64_t version = pragma_number(db, "PRAGMA user_version");

    if (version < 0) snprintf(why, cap, "%s: %s", path, sqlite3_errmsg(db));
    if (version <= SCHEMA_VERSION) return version;
    snprintf(why, cap, "%s: its schema version %lld is newer than this program's (%d): use the newer program", path,
             (long long)version, SCHEMA_VERSION);
    return -1;
}

int sqlite_schema_check(sqlite3 *db, const char *path, char *why, size_t cap)
{
    return read_version(db, path, why, cap) < 0 ? -1 : 0;
}

static int migrate(sqlite3 *db, const char *path, char *why, size_t cap)
{
    int64_t version = read_version(db, path, why, cap);

    if (version < 0) return -1;
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

int sqlite_schema_set_up(sqlite3 *db, const char *path, char *why, size_t cap)
{
    static const char SETTINGS[] = "PRAGMA journal_mode=WAL;"
                                   "PRAGMA synchronous=FULL;"
                                   "PRAGMA foreign_keys=ON;"
                                   "PRAGMA trusted_schema=OFF;"
                                   "PRAGMA cell_size_check=ON;"
                                   "PRAGMA secure_delete=FAST;"
                                   "PRAGMA journal_size_limit=16777216;"
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
