#include "ctl/ctl_store.h"

#include "ctl/child.h"
#include "ctl/new_file.h"
#include "ctl/reach.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CHILD_CONFIG_FAULT = 2 }; /* a server's exit status for a wrong command line or file */

static enum command_status fail(const char *doing, const char *path)
{
    fprintf(stderr, "posternctl: cannot %s %s: %s\n", doing, path, strerror(errno));
    return COMMAND_REFUSED;
}

enum command_status ctl_store_backup(const struct command_line *line)
{
    struct new_file file;
    json_t *answer = NULL;
    enum command_status status = new_file_open(&file, line->args[0]);
    if (status != COMMAND_OK) return status;
    status = reach_backend_passing(line, "backup", json_object(), file.fd, &answer);
    if (status == COMMAND_OK && json_is_true(json_object_get(answer, "ok"))) status = new_file_publish(&file);
    new_file_close(&file);
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
