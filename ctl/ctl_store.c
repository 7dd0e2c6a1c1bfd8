#include "ctl/ctl_store.h"

#include "ctl/child.h"
#include "ctl/reach.h"
#include "lib/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHILD_CONFIG_FAULT = 2 }; /* a server's exit status for a wrong command line or file */

static enum command_status fail(const char *doing, const char *path)
{
    fprintf(stderr, "posternctl: cannot %s %s: %s\n", doing, path, strerror(errno));
    return COMMAND_REFUSED;
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

/* publish - the whole copy gets the name that was asked for, in one step, unless something has that name by now (some
 * file systems cannot tell). */
static enum command_status publish(const char *fresh, const char *path)
{
    int result = renameat2(AT_FDCWD, fresh, AT_FDCWD, path, RENAME_NOREPLACE);
    if (result != 0 && (errno == EINVAL || errno == ENOSYS)) result = rename(fresh, path);
    if (result != 0) return fail("make", path);
    return sync_folder_of(path) == 0 ? COMMAND_OK : fail("sync the folder of", path);
}

static enum command_status save(const struct command_line *line, int fd, const char *fresh, json_t **answer)
{
    const char *path = line->args[0];
    enum command_status status = reach_backend_passing(line, "backup", json_object(), fd, answer);

    if (status != COMMAND_OK || !json_is_true(json_object_get(*answer, "ok"))) return status;
    return publish(fresh, path);
}

enum command_status ctl_store_backup(const struct command_line *line)
{
    const char *path = line->args[0];
    json_t *answer = NULL;
    if (access(path, F_OK) == 0) {
        fprintf(stderr, "posternctl: %s exists: a backup is made in a new file\n", path);
        return COMMAND_REFUSED;
    }
    char *fresh = mem_asprintf("%s.part", path);
    const int fd = open(fresh, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    enum command_status status = fd < 0 ? fail("make", fresh) : save(line, fd, fresh, &answer);
    if (fd >= 0) {
        (void)unlink(fresh); /* gone already when it was published */
        close(fd);
    }
    free(fresh);
    if (status == COMMAND_OK) return command_answer(line, answer, NULL);
    json_decref(answer);
    return status;
}

static void report_restored(const struct command_line *line, const char *kept)
{
    if (line->json) {
        json_t *result = json_pack("{s:s?}", "kept", *kept ? kept : NULL);
        json_dumpf(result, stdout, JSON_COMPACT);
        puts("");
        json_decref(result);
    } else if (*kept) {
        printf("restored; the store before it is kept as %s\n", kept);
    } else {
        puts("restored");
    }
}

static enum command_status restore(const struct command_line *line, int fd)
{
    char kept[PATH_MAX] = "";
    const char *const arguments[] = {"-c", line->backend_config, "--restore", NULL};
    const int status = child_ask("postern-backend", arguments, fd, kept, sizeof kept);

    if (status == 0) report_restored(line, kept);
    if (status == CHILD_CONFIG_FAULT) return COMMAND_USAGE;
    return status == 0 ? COMMAND_OK : COMMAND_REFUSED;
}

enum command_status ctl_store_restore(const struct command_line *line)
{
    const int fd = open(line->args[0], O_RDONLY | O_CLOEXEC);

    if (fd < 0) return fail("open", line->args[0]);
    enum command_status status = restore(line, fd);
    close(fd);
    return status;
}

enum command_status ctl_store_check(const struct command_line *line)
{
    json_t *answer;
    enum command_status status = reach_backend_passing(line, "check-store", json_object(), -1, &answer);

    if (status != COMMAND_OK) return status;
    const bool faulty = json_integer_value(json_object_get(json_object_get(answer, "result"), "faults")) > 0;
    status = command_answer(line, answer, NULL);
    return status == COMMAND_OK && faulty ? COMMAND_REFUSED : status;
}
