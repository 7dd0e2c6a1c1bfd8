#include "backend/store/sqlite_fault.h"

#ifdef POSTERN_FAULTS

#include "lib/check.h"

#include <sqlite3.h>
#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>

static _Thread_local enum fault armed = FAULT_POINTS;

/* What SQLite calls instead of pwrite. */
static ssize_t write_or_die(int fd, const void *data, size_t len, off_t offset)
{
    if (armed != FAULT_POINTS) {
        const enum fault fault = armed;
        armed = FAULT_POINTS;
        if (fault_hits(fault)) {
            (void)!pwrite(fd, data, len / 2, offset);
            fault_kill(fault);
        }
    }
    return pwrite(fd, data, len, offset);
}

void sqlite_fault_install(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    const union {
        ssize_t (*typed)(int fd, const void *data, size_t len, off_t offset);
        sqlite3_syscall_ptr plain;
    } entry = {.typed = write_or_die};

    /* Either, by how the library was built. */
    CHECK(vfs && vfs->iVersion >= 3);
    (void)vfs->xSetSystemCall(vfs, "pwrite", entry.plain);
    (void)vfs->xSetSystemCall(vfs, "pwrite64", entry.plain);
}

void sqlite_fault_arm(enum fault fault)
{
    armed = fault;
}

void sqlite_fault_disarm(void)
{
    armed = FAULT_POINTS;
}

#endif
