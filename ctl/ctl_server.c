#include "ctl/ctl_server.h"

#include "ctl/reach.h"
#include "ctl/stdin_text.h"
#include "lib/buf.h"
#include "lib/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static enum command_status call(const struct command_line *line, const char *command, json_t *args, const char *done)
{
    json_t *answer;
    if (!args) {
        fprintf(stderr, "posternctl: an argument is not valid UTF-8\n");
        return COMMAND_USAGE;
    }
    enum command_status status = reach_backend(line, command, args, false, &answer);
    return status == COMMAND_OK ? command_answer(line, answer, done) : status;
}

/* Lists as a table of what reshape (takes nothing, gives a new one) makes of the result; --json shows it all. */
static enum command_status call_reshaped(const struct command_line *line, const char *command,
                                         json_t *(*reshape)(const json_t *result))
{
    json_t *answer;
    enum command_status status = reach_backend(line, command, json_object(), false, &answer);
    if (status != COMMAND_OK) return status;
    if (!line->json && json_is_true(json_object_get(answer, "ok")))
        json_object_set_new(answer, "result", reshape(json_object_get(answer, "result")));
    return command_answer(line, answer, NULL);
}

/* What counts is told by "stats". */
static json_t *without_counters(const json_t *status)
{
    json_t *out = json_copy((json_t *)(uintptr_t)status);
    json_object_del(out, "counters");
    json_object_del(out, "handled");
    return out;
}

enum command_status ctl_server_status(const struct command_line *line)
{
    return call_reshaped(line, "status", without_counters);
}

enum command_status ctl_server_stats(const struct command_line *line)
{
    return call(line, "stats", json_object(), NULL);
}

enum command_status ctl_server_about(const struct command_line *line)
{
    json_t *answer;
    enum command_status status = reach_backend(line, "about", json_object(), true, &answer);
    return status == COMMAND_OK ? command_answer(line, answer, NULL) : status;
}

enum command_status ctl_server_sessions(const struct command_line *line)
{
    return call(line, "sessions", json_pack("{s:s*}", "only", line->arg_count ? line->args[0] : NULL), NULL);
}

enum command_status ctl_server_kick(const struct command_line *line)
{
    return call(line, "kick", json_pack("{s:s}", "jid", line->args[0]), NULL);
}

static char *joined(const json_t *list)
{
    struct buf out = {0};
    const json_t *text;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)list, i, text)
        buf_printf(&out, "%s%s", i > 0 ? " " : "", json_string_value(text));
    char *result = mem_strndup((const char *)buf_data(&out), buf_len(&out));
    buf_free(&out);
    return result ? result : mem_strdup("");
}

/* The time as a date, lists with spaces. */
static json_t *tidy_hosts(const json_t *hosts)
{
    json_t *rows = json_array();
    const json_t *host;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)hosts, i, host)
    {
        char date[32] = "";
        const time_t end = (time_t)json_integer_value(json_object_get(host, "not_after"));
        struct tm tm;
        if (end != 0 && gmtime_r(&end, &tm)) strftime(date, sizeof date, "%Y-%m-%d", &tm);
        char *admins = joined(json_object_get(host, "admins"));
        char *names = joined(json_object_get(host, "server_names"));
        json_array_append_new(rows, json_pack("{s:O?, s:s, s:O?, s:s, s:s, s:O?}", "host",
                                              json_object_get(host, "host"), "until", date, "days_left",
                                              json_object_get(host, "days_left"), "admins", admins, "server_names",
                                              names, "certificate", json_object_get(host, "certificate")));
        free(admins);
        free(names);
    }
    return rows;
}

enum command_status ctl_server_hosts(const struct command_line *line)
{
    return call_reshaped(line, "hosts", tidy_hosts);
}

enum command_status ctl_server_message(const struct command_line *line)
{
    char *text = line->arg_count > 1 ? mem_strdup(line->args[1]) : stdin_text();
    if (!text) return COMMAND_USAGE;
    json_t *args = json_pack("{s:s, s:s, s:s*}", "to", line->args[0], "text", text, "subject",
                             line->arg_count > 2 ? line->args[2] : NULL);
    free(text);
    return call(line, "message", args, NULL);
}

enum command_status ctl_server_log_level(const struct command_line *line)
{
    return call(line, "log-level", json_pack("{s:s}", "level", line->args[0]), "until the next reload or restart");
}

enum command_status ctl_server_reload(const struct command_line *line)
{
    return call(line, "reload", json_object(), "reloaded");
}
