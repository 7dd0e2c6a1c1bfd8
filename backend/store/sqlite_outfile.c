#include "backend/store/sqlite_outfile.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "postern-outfile"

enum { PATH_MAX_BYTES = 64 };

struct outfile {
    sqlite3_file base;
    int fd;
};

static int fd_of(sqlite3_file *file)
{
    return ((struct outfile *)(void *)file)->fd;
}

static int outfile_close(sqlite3_file *file)
{
    (void)file;
    return SQLITE_OK;
}

static int outfile_read(sqlite3_file *file, void *out, int len, sqlite3_int64 offset)
{
    char *at = out;
    ssize_t n = 1;

    while (len > 0 && n != 0) {
        n = pread(fd_of(file), at, (size_t)len, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return SQLITE_IOERR_READ;
        at += n;
        offset += n;
        len -= (int)n;
    }
    if (len == 0) return SQLITE_OK;
    memset(at, 0, (size_t)len);
    return SQLITE_IOERR_SHORT_READ;
}

static int outfile_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 offset)
{
    const char *at = data;

    while (len > 0) {
        const ssize_t n = pwrite(fd_of(file), at, (size_t)len, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? SQLITE_FULL : SQLITE_IOERR_WRITE;
        at += n;
        offset += n;
        len -= (int)n;
    }
    return SQLITE_OK;
}

static int outfile_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return ftruncate(fd_of(file), (off_t)size) == 0 ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
}

static int outfile_sync(sqlite3_file *file, int flags)
{
    (void)flags;
    return fsync(fd_of(file)) == 0 ? SQLITE_OK : SQLITE_IOERR_FSYNC;
}

static int outfile_size(sqlite3_file *file, sqlite3_int64 *size)
{
    struct stat st;

    if (fstat(fd_of(file), &st) != 0) return SQLITE_IOERR_FSTAT;
    *size = st.st_size;
    return SQLITE_OK;
}

/* Nobody else knows the file. */
static int outfile_lock(sqlite3_file *file, int kind)
{
    (void)file;
    (void)kind;
    return SQLITE_OK;
}

static int outfile_is_locked(sqlite3_file *file, int *result)
{
    (void)file;
    *result = 0;
    return SQLITE_OK;
}

static int outfile_control(sqlite3_file *file, int op, void *arg)
{
    (void)file;
    (void)op;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int outfile_sector(sqlite3_file *file)
{
    (void)file;
    return 4096;
}

static int outfile_character(sqlite3_file *file)
{
    (void)file;
    return 0;
}

static const sqlite3_io_methods METHODS = {
    .iVersion = 1,
    .xClose = outfile_close,
    .xRead = outfile_read,
    .xWrite = outfile_write,
    .xTruncate = outfile_truncate,
    .xSync = outfile_sync,
    .xFileSize = outfile_size,
    .xLock = outfile_lock,
    .xUnlock = outfile_lock,
    .xCheckReservedLock = outfile_is_locked,
    .xFileControl = outfile_control,
    .xSectorSize = outfile_sector,
    .xDeviceCharacteristics = outfile_character,
};

/* The name is the descriptor's number; there are no other files. */
static int outfile_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    struct outfile *out = (struct outfile *)(void *)file;

    (void)vfs;
    memset(out, 0, sizeof *out);
    if (!name || !(flags & SQLITE_OPEN_MAIN_DB)) return SQLITE_CANTOPEN;
    out->fd = (int)strtol(name, NULL, 10);
    out->base.pMethods = &METHODS;
    if (out_flags) *out_flags = flags;
    return SQLITE_OK;
}

static int outfile_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    (void)vfs;
    (void)name;
    (void)sync;
    return SQLITE_OK;
}

static int outfile_access(sqlite3_vfs *vfs, const char *name, int flags, int *result)
{
    (void)vfs;
    (void)name;
    (void)flags;
    *result = 0;
    return SQLITE_OK;
}

static int outfile_full_path(sqlite3_vfs *vfs, const char *name, int cap, char *out)
{
    (void)vfs;
    return snprintf(out, (size_t)cap, "%s", name) < cap ? SQLITE_OK : SQLITE_CANTOPEN;
}

/* The rest is the usual one's. */
static void register_vfs(void)
{
    static sqlite3_vfs vfs;

    vfs = *sqlite3_vfs_find(NULL);
    vfs.iVersion = 1;
    vfs.szOsFile = sizeof(struct outfile);
    vfs.mxPathname = PATH_MAX_BYTES;
    vfs.zName = NAME;
    vfs.xOpen = outfile_open;
    vfs.xDelete = outfile_delete;
    vfs.xAccess = outfile_access;
    vfs.xFullPathname = outfile_full_path;
    CHECK(sqlite3_vfs_register(&vfs, 0) == SQLITE_OK);
}

int sqlite_outfile_open(int fd, sqlite3 **db)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    char name[16];

    CHECK(pthread_once(&once, register_vfs) == 0);
    snprintf(name, sizeof name, "%d", fd);
    const int result = sqlite3_open_v2(name, db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NAME);
    if (result != SQLITE_OK) return result;
    return sqlite3_exec(*db, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF", NULL, NULL, NULL);
}
