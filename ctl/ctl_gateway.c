#include "ctl/ctl_gateway.h"

#include "ctl/reach.h"
#include "ctl/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum command_status call(const struct command_line *line, const char *command, json_t *args, const char *done)
{
    json_t *answer;
    enum command_status status = reach_gateway(line, command, args, &answer);
    return status == COMMAND_OK ? command_answer(line, answer, done) : status;
}

enum command_status ctl_gateway_status(const struct command_line *line)
{
    return call(line, "status", NULL, NULL);
}

enum command_status ctl_gateway_stats(const struct command_line *line)
{
    return call(line, "stats", NULL, NULL);
}

enum command_status ctl_gateway_reload(const struct command_line *line)
{
    return call(line, "reload", NULL, "reloaded");
}

enum command_status ctl_gateway_drain(const struct command_line *line)
{
    return call(line, "drain", NULL, "accepts no more and ends with the last connection");
}

/* "route=web" among the arguments into the filter, "limit=5" beside it. */
static int read_filter(const char *text, json_t *args, json_t *filter)
{
    static const char *const NAMES[] = {"id",       "state",   "peer",     "local", "listener", "route",
                                        "upstream", "backend", "protocol", "sni",   "alpn"};
    const char *equals = strchr(text, '=');
    size_t len = equals != NULL ? (size_t)(equals - text) : 0;
    if (len == strlen("limit") && memcmp(text, "limit", len) == 0)
        return json_object_set_new(args, "limit", json_integer(strtoll(equals + 1, NULL, 10)));
    for (size_t i = 0; equals != NULL && i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
        if (strlen(NAMES[i]) == len && memcmp(NAMES[i], text, len) == 0)
            return json_object_set_new(filter, NAMES[i], json_string(equals + 1));
    fprintf(stderr, "posternctl: expected NAME=VALUE, not %s; names are", text);
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
        fprintf(stderr, " %s,", NAMES[i]);
    fprintf(stderr, " limit\n");
    return -1;
}

static enum command_status print_connections(const struct command_line *line, json_t *answer)
{
    json_t *result = json_object_get(answer, "result"), *list = json_object_get(result, "connections");
    if (line->json || !json_is_true(json_object_get(answer, "ok"))) return command_answer(line, answer, NULL);
    size_t shown = json_array_size(list);
    json_int_t matched = json_integer_value(json_object_get(result, "matched"));
    json_int_t silent = json_integer_value(json_object_get(result, "silent_workers"));
    if (shown > 0) report_text(list, stdout);
    if (matched != (json_int_t)shown)
        fprintf(stderr, "%zu of %lld connections; limit=N shows more\n", shown, (long long)matched);
    if (silent > 0) fprintf(stderr, "%lld workers did not answer in time\n", (long long)silent);
    json_decref(answer);
    return fflush(stdout) == 0 ? COMMAND_OK : COMMAND_REFUSED;
}

enum command_status ctl_gateway_connections(const struct command_line *line)
{
    json_t *args = json_object(), *filter = json_object(), *answer;
    json_object_set_new(args, "filter", filter);
    for (size_t i = 0; i < line->arg_count; i++) {
        if (read_filter(line->args[i], args, filter) == 0) continue;
        json_decref(args);
        return COMMAND_USAGE;
    }
    enum command_status status = reach_gateway(line, "connections", args, &answer);
    return status == COMMAND_OK ? print_connections(line, answer) : status;
}

/* A command with one argument of that name. */
static enum command_status call_with(const struct command_line *line, const char *command, const char *name,
                                     const char *done)
{
    json_t *args = json_pack("{s:s}", name, line->args[0]);
    if (args == NULL) {
        fprintf(stderr, "posternctl: the argument is not valid UTF-8\n");
        return COMMAND_USAGE;
    }
    return call(line, command, args, done);
}

enum command_status ctl_gateway_kill(const struct command_line *line)
{
    return call_with(line, "kill", "id", "closed");
}

enum command_status ctl_gateway_log_level(const struct command_line *line)
{
    return call_with(line, "log-level", "level", "until the next reload or restart");
}
