#include "backend/store/sqlite_copy.h"

#include "backend/store/sqlite_engine.h"
#include "backend/store/sqlite_outfile.h"
#include "lib/mem.h"

#include <stdio.h>
#include <stdlib.h>

/* A step is so short (1 MiB) that nobody who waits for the store notices. */
enum { STEP_PAGES = 256 };

struct sqlite_copy {
    sqlite3 *to;
    sqlite3_backup *backup;
};

void sqlite_copy_end(void *copy)
{
    struct sqlite_copy *mine = copy;

    (void)sqlite3_backup_finish(mine->backup);
    (void)sqlite3_close(mine->to);
    free(mine);
}

void *sqlite_copy_begin(void *engine, int fd, char *why, size_t cap)
{
    struct sqlite_engine *s = engine;
    struct sqlite_copy *copy = MEM_NEW(struct sqlite_copy);

    if (sqlite_outfile_open(fd, &copy->to) == SQLITE_OK)
        copy->backup = sqlite3_backup_init(copy->to, "main", s->db, "main");
    if (copy->backup) return copy;
    snprintf(why, cap, "the copy: %s", copy->to ? sqlite3_errmsg(copy->to) : "no memory");
    sqlite_copy_end(copy);
    return NULL;
}

bool sqlite_copy_step(void *copy, char *why, size_t cap)
{
    struct sqlite_copy *mine = copy;
    const int result = sqlite3_backup_step(mine->backup, STEP_PAGES);

    if (result == SQLITE_OK) return true;
    if (result != SQLITE_DONE) snprintf(why, cap, "the copy: %s", sqlite3_errstr(result));
    return false;
}
