#include "backend/store/sqlite_restore.h"

#include "backend/store.h"
#include "backend/store/sqlite_schema.h"
#include "lib/mem.h"
#include "lib/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct sqlite_restore {
    char *database, *fresh; /* what is there, and the copy beside it */
    char *why;
    size_t cap;
};

static int fail(const struct sqlite_restore *r, const char *doing, const char *path)
{
    snprintf(r->why, r->cap, "cannot %s %s: %s", doing, path, strerror(errno));
    return -1;
}

static bool exists(const char *path, const char *suffix)
{
    struct stat st;
    char *file = mem_asprintf("%s%s", path, suffix);
    const bool there = lstat(file, &st) == 0;

    free(file);
    return there;
}

static void remove_all(const char *path)
{
    static const char *const SUFFIXES[] = {"", "-wal", "-shm", "-journal"};

    for (size_t i = 0; i < ARRAY_LEN(SUFFIXES); i++) {
        char *file = mem_asprintf("%s%s", path, SUFFIXES[i]);
        (void)unlink(file);
        free(file);
    }
}

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        const ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

static int copy_file(const struct sqlite_restore *r, int from, int to)
{
    char data[64 * 1024];

    for (;;) {
        const ssize_t n = read(from, data, sizeof data);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail(r, "read", "the backup");
        if (n == 0) break;
        if (write_all(to, data, (size_t)n) != 0) return fail(r, "write", r->fresh);
    }
    return fsync(to) == 0 ? 0 : fail(r, "write", r->fresh);
}

static int make_fresh(const struct sqlite_restore *r, int from)
{
    remove_all(r->fresh);
    const int to = open(r->fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (to < 0) return fail(r, "make", r->fresh);
    const int result = copy_file(r, from, to);
    close(to);
    return result;
}

/* check_answer - whether a query gives exactly this text; NULL: no row at all. */
static bool check_answer(sqlite3 *db, const char *sql, const char *wanted)
{
    sqlite3_stmt *st = NULL;
    bool same = false;

    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK) {
        const int result = sqlite3_step(st);
        const char *text = result == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
        same = wanted ? text && strcmp(text, wanted) == 0 : result == SQLITE_DONE;
    }
    sqlite3_finalize(st);
    return same;
}

static int check_fresh(const struct sqlite_restore *r)
{
    sqlite3 *db = NULL;
    const char *fault = NULL;

    if (sqlite3_open_v2(r->fresh, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK ||
        sqlite3_exec(db, "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON", NULL, NULL, NULL) != SQLITE_OK ||
        !check_answer(db, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'account'", "1"))
        fault = "it is no backup of a store, or cut off";
    else if (!check_answer(db, "PRAGMA integrity_check(1)", "ok") ||
             !check_answer(db, "PRAGMA foreign_key_check", NULL))
        fault = "it is damaged";
    if (fault) snprintf(r->why, r->cap, "the backup cannot be restored: %s", fault);
    const int result = fault ? -1 : sqlite_schema_check(db, "the backup", r->why, r->cap);
    return sqlite3_close(db) == SQLITE_OK ? result : -1;
}

/* settle - bring what is in the old database's log into the database itself.  false: it is too damaged for that. */
static bool settle(const struct sqlite_restore *r)
{
    sqlite3 *db = NULL;
    const bool done =
        sqlite3_open_v2(r->database, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK &&
        sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL) == SQLITE_OK;

    return sqlite3_close(db) == SQLITE_OK && done && !exists(r->database, "-wal");
}

/* A name for the old database that nothing has yet. */
static int choose_name(const struct sqlite_restore *r, char *kept)
{
    const time_t now = time(NULL);
    struct tm utc;
    char when[32];

    CHECK(gmtime_r(&now, &utc) && strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", &utc));
    for (int i = 1; i < 100; i++) {
        snprintf(kept, STORE_PATH_MAX_BYTES, i > 1 ? "%s.before-%s-%d" : "%s.before-%s", r->database, when, i);
        if (!exists(kept, "") && !exists(kept, "-wal")) return 0;
    }
    errno = EEXIST;
    return fail(r, "make", kept);
}

/* With its log, which is worth nothing to any other database. */
static int move_damaged(const struct sqlite_restore *r, const char *kept)
{
    char *log = mem_asprintf("%s-wal", r->database), *kept_log = mem_asprintf("%s-wal", kept);
    char *index = mem_asprintf("%s-shm", r->database);
    int result = rename(r->database, kept) == 0 ? 0 : fail(r, "rename", r->database);

    if (result == 0 && rename(log, kept_log) != 0 && errno != ENOENT) result = fail(r, "rename", log);
    (void)unlink(index);
    free(log);
    free(kept_log);
    free(index);
    return result;
}

static int sync_folder(const struct sqlite_restore *r, const char *folder)
{
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool synced = fd >= 0 && fsync(fd) == 0;
    const int result = synced ? 0 : fail(r, "sync", folder);

    if (fd >= 0) close(fd);
    return result;
}

static int replace(const struct sqlite_restore *r, const char *folder, char *kept)
{
    if (exists(r->database, "")) {
        if (choose_name(r, kept) != 0) return -1;
        if (!settle(r)) {
            if (move_damaged(r, kept) != 0) return -1;
        } else if (link(r->database, kept) != 0) {
            return fail(r, "keep the old store as", kept);
        }
    }
    if (sync_folder(r, folder) != 0) return -1;
    if (rename(r->fresh, r->database) != 0) return fail(r, "rename", r->fresh);
    return sync_folder(r, folder);
}

int sqlite_restore(const char *folder, int fd, char *kept, char *why, size_t cap)
{
    struct sqlite_restore r = {.database = mem_asprintf("%s/postern.sqlite", folder), .why = why, .cap = cap};

    r.fresh = mem_asprintf("%s.new", r.database);
    kept[0] = '\0';
    int result = proc_check_own(r.database, why, cap);
    if (result == 0) result = make_fresh(&r, fd);
    if (result == 0) result = check_fresh(&r);
    if (result == 0) result = replace(&r, folder, kept);
    if (result != 0) remove_all(r.fresh);
    free(r.database);
    free(r.fresh);
    return result;
}
