#include "ctl/ctl_roster.h"

#include "ctl/reach.h"
#include "lib/check.h"
#include "lib/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Takes args; NULL: there is something in them that is not UTF-8. */
static enum command_status call(const struct command_line *line, const char *command, json_t *args, const char *done)
{
    json_t *answer;
    if (!args) {
        fprintf(stderr, "posternctl: an address or a name is not valid UTF-8\n");
        return COMMAND_USAGE;
    }
    const enum command_status status = reach_backend(line, command, args, false, &answer);
    return status == COMMAND_OK ? command_answer(line, answer, done) : status;
}

enum command_status ctl_roster_get(const struct command_line *line)
{
    return call(line, "roster-get", json_pack("{s:s}", "jid", line->args[0]), NULL);
}

static json_t *both_addresses(const struct command_line *line)
{
    return json_pack("{s:s, s:s}", "jid", line->args[0], "contact", line->args[1]);
}

static enum command_status call_about(const struct command_line *line, const char *command, json_t *args,
                                      const char *done)
{
    char *text = mem_asprintf("%s %s", done, line->args[1]);
    const enum command_status status = call(line, command, args, text);
    free(text);
    return status;
}

enum command_status ctl_roster_remove(const struct command_line *line)
{
    return call_about(line, "roster-remove", both_addresses(line), "removed");
}

/* Put one NAME=VALUE into args; whether it is one that we know. */
static bool add_setting(json_t *args, const char *setting, bool *utf8)
{
    static const char *const NAMES[] = {"name", "subscription", "group"};
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++) {
        const size_t len = strlen(NAMES[i]);
        if (strncmp(setting, NAMES[i], len) != 0 || setting[len] != '=') continue;
        json_t *value = json_string(setting + len + 1);
        const int status = strcmp(NAMES[i], "group") == 0
                               ? json_array_append_new(json_object_get(args, "groups"), value)
                               : json_object_set_new(args, NAMES[i], value);
        if (status != 0) *utf8 = false;
        return true;
    }
    return false;
}

enum command_status ctl_roster_add(const struct command_line *line)
{
    bool utf8 = true;
    json_t *args = both_addresses(line);
    if (args) json_object_set_new(args, "groups", json_array());
    for (size_t i = 2; args && i < line->arg_count; i++) {
        if (add_setting(args, line->args[i], &utf8)) continue;
        fprintf(stderr, "posternctl: expected name=, group= or subscription=, not %s\n", line->args[i]);
        json_decref(args);
        return COMMAND_USAGE;
    }
    if (!utf8) {
        json_decref(args);
        args = NULL;
    }
    return call_about(line, "roster-add", args, "added");
}
