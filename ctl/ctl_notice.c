#include "ctl/ctl_notice.h"

#include "ctl/reach.h"
#include "ctl/stdin_text.h"
#include "lib/mem.h"

#include <stdio.h>
#include <stdlib.h>

static enum command_status call(const struct command_line *line, const char *command, const char *what, char *text,
                                const char *done)
{
    json_t *answer, *args = json_pack("{s:s, s:s, s:s*}", "what", what, "host", line->args[0], "text", text);
    free(text);
    if (!args) {
        fprintf(stderr, "posternctl: an argument is not valid UTF-8\n");
        return COMMAND_USAGE;
    }
    const enum command_status status = reach_backend(line, command, args, false, &answer);
    if (status != COMMAND_OK) return status;
    const json_t *result = json_object_get(answer, "result");
    if (!line->json && json_is_null(json_object_get(result, "text"))) {
        json_object_set_new(answer, "result", json_null());
        done = "none is set";
    }
    return command_answer(line, answer, done);
}

static enum command_status call_with_text(const struct command_line *line, const char *command, const char *what)
{
    char *text = line->arg_count > 1 ? mem_strdup(line->args[1]) : stdin_text();
    return text ? call(line, command, what, text, "set") : COMMAND_USAGE;
}

enum command_status ctl_notice_motd_show(const struct command_line *line)
{
    return call(line, "motd", "show", NULL, NULL);
}

enum command_status ctl_notice_motd_set(const struct command_line *line)
{
    return call_with_text(line, "motd", "set");
}

enum command_status ctl_notice_motd_edit(const struct command_line *line)
{
    return call_with_text(line, "motd", "edit");
}

enum command_status ctl_notice_motd_delete(const struct command_line *line)
{
    return call(line, "motd", "delete", NULL, "deleted");
}

enum command_status ctl_notice_welcome_show(const struct command_line *line)
{
    return call(line, "welcome", "show", NULL, NULL);
}

enum command_status ctl_notice_welcome_set(const struct command_line *line)
{
    return call_with_text(line, "welcome", "set");
}

enum command_status ctl_notice_welcome_delete(const struct command_line *line)
{
    return call(line, "welcome", "delete", NULL, "deleted");
}
