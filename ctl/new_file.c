#include "ctl/new_file.h"

#include "lib/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum command_status fail(const char *doing, const char *path)
{
    fprintf(stderr, "posternctl: cannot %s %s: %s\n", doing, path, strerror(errno));
    return COMMAND_REFUSED;
}

enum command_status new_file_open(struct new_file *file, const char *path)
{
    *file = (struct new_file){.path = path, .fd = -1};
    if (access(path, F_OK) == 0) {
        fprintf(stderr, "posternctl: %s exists: expected the name of a new file\n", path);
        return COMMAND_REFUSED;
    }
    file->fresh = mem_asprintf("%s.part", path);
    file->fd = open(file->fresh, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file->fd >= 0) return COMMAND_OK;
    const enum command_status status = fail("make", file->fresh);
    free(file->fresh);
    return status;
}

/* The name of a file lives on the disk when its folder does. */
static int sync_folder_of(const char *path)
{
    char *copy = mem_strdup(path);
    const int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int result = fd >= 0 && fsync(fd) == 0 ? 0 : -1;

    if (fd >= 0) close(fd);
    free(copy);
    return result;
}

/* Some file systems cannot tell whether there is such a name. */
enum command_status new_file_publish(struct new_file *file)
{
    int result = renameat2(AT_FDCWD, file->fresh, AT_FDCWD, file->path, RENAME_NOREPLACE);
    if (result != 0 && (errno == EINVAL || errno == ENOSYS)) result = rename(file->fresh, file->path);
    if (result != 0) return fail("make", file->path);
    return sync_folder_of(file->path) == 0 ? COMMAND_OK : fail("sync the folder of", file->path);
}

void new_file_close(struct new_file *file)
{
    (void)unlink(file->fresh); /* gone already when it was published */
    close(file->fd);
    free(file->fresh);
}

int new_file_nameless(void)
{
    const char *folder = getenv("TMPDIR");
    if (!folder || *folder != '/') folder = "/var/tmp";
    const int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) (void)fail("make a temporary file in", folder);
    return fd;
}
