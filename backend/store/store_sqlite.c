#include "backend/store/store_engine.h"

#include "backend/store/sqlite_account.h"
#include "backend/store/sqlite_archive.h"
#include "backend/store/sqlite_archive_purge.h"
#include "backend/store/sqlite_check.h"
#include "backend/store/sqlite_copy.h"
#include "backend/store/sqlite_engine.h"
#include "backend/store/sqlite_fault.h"
#include "backend/store/sqlite_queue.h"
#include "backend/store/sqlite_recent.h"
#include "backend/store/sqlite_records.h"
#include "backend/store/sqlite_restore.h"
#include "backend/store/sqlite_schema.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* make_private_file - the database exists with mode 0600 before SQLite opens it (its side files copy that mode). */
static int make_private_file(const char *path, char *why, size_t cap)
{
    static const char *const SIDE_FILES[] = {"", "-wal", "-shm"};

    for (size_t i = 0; i < ARRAY_LEN(SIDE_FILES); i++) {
        char *file = mem_asprintf("%s%s", path, SIDE_FILES[i]);
        const int result = proc_check_own(file, why, cap);
        free(file);
        if (result != 0) return -1;
    }
    const int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        snprintf(why, cap, "%s: %s", path, strerror(errno));
        return -1;
    }
    close(fd);
    return 0;
}

static void sqlite_close(void *engine)
{
    struct sqlite_engine *s = engine;

    if (s->ready) sqlite_recent_settle(s);
    sqlite_engine_forget(s);
    if (sqlite3_close(s->db) != SQLITE_OK) log_msg(LOG_LEVEL_ERROR, "store_error", "close: %s", sqlite3_errmsg(s->db));
    free(s);
}

static void *sqlite_open(const char *folder, char *why, size_t cap)
{
    if (proc_check_private(folder, 0, why, cap) != 0) return NULL;
    sqlite_fault_install();
    struct sqlite_engine *s = MEM_NEW(struct sqlite_engine);
    char *path = mem_asprintf("%s/postern.sqlite", folder);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    bool opened = false;

    if (make_private_file(path, why, cap) == 0) {
        if (sqlite3_open_v2(path, &s->db, flags, NULL) != SQLITE_OK)
            snprintf(why, cap, "%s: %s", path, s->db ? sqlite3_errmsg(s->db) : "no memory");
        else
            opened = sqlite_schema_set_up(s->db, path, why, cap) == 0;
        if (opened) sqlite_engine_watch(s);
        s->ready = s->archive_gone = opened;
    }
    free(path);
    if (opened) return s;
    sqlite_close(s);
    return NULL;
}

struct several {
    enum store_status (*fn)(void *engine, void *arg);
    void *arg;
};

static enum store_status write_several(struct sqlite_engine *s, const void *arg)
{
    const struct several *several = arg;
    return several->fn(s, several->arg);
}

/* Savepoints nest: each operation within has one of its own. */
static enum store_status sqlite_as_one(void *engine, enum store_status (*fn)(void *engine, void *arg), void *arg)
{
    const struct several several = {fn, arg};
    return sqlite_engine_write(engine, write_several, &several);
}

const struct store_engine STORE_SQLITE = {
    .name = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .begin = sqlite_engine_begin,
    .commit = sqlite_engine_commit,
    .rest = sqlite_engine_rest,
    .tidy = sqlite_archive_tidy,
    .as_one = sqlite_as_one,
    .account_get = sqlite_account_get,
    .account_add = sqlite_account_add,
    .account_set_keys = sqlite_account_set_keys,
    .account_set_disabled = sqlite_account_set_disabled,
    .account_del = sqlite_account_del,
    .account_shapes = sqlite_account_shapes,
    .account_list = sqlite_account_list,
    .records_get = sqlite_records_get,
    .records_change = sqlite_records_change,
    .queue_add = sqlite_queue_add,
    .queue_get = sqlite_queue_get,
    .queue_del = sqlite_queue_del,
    .remote_list = sqlite_remote_list,
    .archive_add = sqlite_archive_add,
    .archive_last = sqlite_archive_last,
    .archive_scan = sqlite_archive_scan,
    .archive_fetch = sqlite_archive_fetch,
    .archive_size = sqlite_archive_size,
    .archive_purge = sqlite_archive_purge,
    .copy_begin = sqlite_copy_begin,
    .copy_step = sqlite_copy_step,
    .copy_end = sqlite_copy_end,
    .restore = sqlite_restore,
    .check = sqlite_check,
};
