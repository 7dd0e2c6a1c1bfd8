#include "ctl/ctl_archive.h"

#include "ctl/reach.h"

#include <stdio.h>
#include <stdlib.h>

/* Takes args; NULL: the address is not UTF-8. */
static enum command_status call(const struct command_line *line, const char *command, json_t *args)
{
    json_t *answer;

    if (!args) {
        fprintf(stderr, "posternctl: an address is not valid UTF-8\n");
        return COMMAND_USAGE;
    }
    const enum command_status status = reach_backend_passing(line, command, args, -1, &answer);
    return status == COMMAND_OK ? command_answer(line, answer, NULL) : status;
}

enum command_status ctl_archive_show(const struct command_line *line)
{
    return call(line, "archive-show", json_pack("{s:s}", "jid", line->args[0]));
}

enum command_status ctl_archive_delete(const struct command_line *line)
{
    char *end = NULL;
    const char *days = line->arg_count > 1 ? line->args[1] : NULL;
    const long long number = days ? strtoll(days, &end, 10) : 0;

    if (days && (end == days || *end || number < 1)) {
        fprintf(stderr, "posternctl: expected a number of days, not %s\n", days);
        return COMMAND_USAGE;
    }
    json_t *args = json_pack("{s:s}", "jid", line->args[0]);
    if (args && days) json_object_set_new(args, "days", json_integer(number));
    return call(line, "archive-delete", args);
}
