#include "ctl/ctl_gateway.h"

#include "ctl/reach.h"
#include "ctl/report.h"
#include "lib/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

/* The answer to "upgrade" comes from the program that goes; how the one that follows has fared, only that knows. */
enum command_status ctl_gateway_upgrade(const struct command_line *line)
{
    json_t *answer;
    enum command_status status = reach_gateway(line, "upgrade", NULL, &answer);
    if (status != COMMAND_OK) return status;
    if (!json_is_true(json_object_get(answer, "ok"))) return command_answer(line, answer, NULL);
    json_decref(answer);
    status = reach_gateway_patiently(line, "wait", &answer);
    return status == COMMAND_OK ? command_answer(line, answer, "upgraded") : status;
}

enum command_status ctl_gateway_drain(const struct command_line *line)
{
    return call(line, "drain", NULL, "accepts no more and ends with the last connection");
}

/* "route=web" among the arguments into the filter, "limit=5" beside it. */
static int read_filter(const char *text, json_t *args, json_t *filter)
{
    static const char *const NAMES[] = {"id",       "state",  "peer",    "local",    "listener", "route",
                                        "upstream", "server", "backend", "protocol", "sni",      "alpn"};
    const char *equals = strchr(text, '=');
    size_t len = equals != NULL ? (size_t)(equals - text) : 0;
    if (len == strlen("limit") && memcmp(text, "limit", len) == 0)
        return json_object_set_new(args, "limit", json_integer(strtoll(equals + 1, NULL, 10)));
    for (size_t i = 0; equals != NULL && i < ARRAY_LEN(NAMES); i++)
        if (strlen(NAMES[i]) == len && memcmp(NAMES[i], text, len) == 0)
            return json_object_set_new(filter, NAMES[i], json_string(equals + 1));
    fprintf(stderr, "posternctl: expected NAME=VALUE, not %s; names are", text);
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++)
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

enum command_status ctl_gateway_routes(const struct command_line *line)
{
    return call(line, "routes", NULL, NULL);
}

/* One line for each server, the upstream's own figures left to --json. */
static json_t *flatten_servers(const json_t *upstreams)
{
    json_t *rows = json_array(), *upstream, *server, *value;
    size_t i, j;
    const char *name;
    static const char *const COLUMNS[] = {"server",      "state",           "admin", "weight",   "backup",
                                          "connections", "max_connections", "total", "failures", "address"};
    json_array_foreach(upstreams, i, upstream)
    {
        json_array_foreach(json_object_get(upstream, "servers"), j, server)
        {
            json_t *row = json_object();
            json_object_set(row, "upstream", json_object_get(upstream, "upstream"));
            for (size_t c = 0; c < ARRAY_LEN(COLUMNS); c++) {
                name = COLUMNS[c];
                value = json_object_get(server, name);
                json_object_set_new(row, name, value != NULL ? json_incref(value) : json_string(""));
            }
            json_array_append_new(rows, row);
        }
    }
    return rows;
}

/* Lists as a table of what reshape (takes nothing, gives a new one) makes of the result; --json shows it all. */
static enum command_status call_table(const struct command_line *line, const char *command,
                                      json_t *(*reshape)(const json_t *result))
{
    json_t *answer;
    enum command_status status = reach_gateway(line, command, NULL, &answer);
    if (status != COMMAND_OK) return status;
    if (!line->json && json_is_true(json_object_get(answer, "ok")))
        json_object_set_new(answer, "result", reshape(json_object_get(answer, "result")));
    return command_answer(line, answer, NULL);
}

enum command_status ctl_gateway_upstreams(const struct command_line *line)
{
    return call_table(line, "upstreams", flatten_servers);
}

/* Times as dates, the names with spaces between them, what few people look at left out. */
static json_t *tidy_certs(const json_t *certs)
{
    json_t *rows = json_array(), *cert, *name;
    size_t i, j;
    json_array_foreach(certs, i, cert)
    {
        char names[256] = "", date[32] = "";
        json_array_foreach(json_object_get(cert, "names"), j, name)
        {
            size_t len = strlen(names);
            snprintf(names + len, sizeof names - len, "%s%s", j > 0 ? " " : "", json_string_value(name));
        }
        time_t end = (time_t)json_integer_value(json_object_get(cert, "not_after"));
        struct tm tm;
        if (gmtime_r(&end, &tm)) strftime(date, sizeof date, "%Y-%m-%d", &tm);
        json_array_append_new(rows,
                              json_pack("{s:O?, s:s, s:O?, s:s, s:O?, s:O?, s:O?}", "tls", json_object_get(cert, "tls"),
                                        "names", names, "key", json_object_get(cert, "key"), "until", date, "days_left",
                                        json_object_get(cert, "days_left"), "issuer", json_object_get(cert, "issuer"),
                                        "file", json_object_get(cert, "file")));
    }
    return rows;
}

enum command_status ctl_gateway_certs(const struct command_line *line)
{
    return call_table(line, "certs", tidy_certs);
}

enum command_status ctl_gateway_server(const struct command_line *line)
{
    static const char WEIGHT[] = "weight=";
    const char *what = line->args[2];
    json_t *args = json_pack("{s:s, s:s}", "upstream", line->args[0], "server", line->args[1]);
    if (args == NULL) {
        fprintf(stderr, "posternctl: the argument is not valid UTF-8\n");
        return COMMAND_USAGE;
    }
    if (strncmp(what, WEIGHT, sizeof WEIGHT - 1) != 0) {
        json_object_set_new(args, "admin", json_string(what));
        return call(line, "server", args, what);
    }
    const char *number = what + sizeof WEIGHT - 1;
    char *end;
    long long weight = strtoll(number, &end, 10);
    if (strcmp(number, "default") == 0)
        weight = -1;
    else if (end == number || *end != '\0' || weight < 0) {
        fprintf(stderr, "posternctl: expected weight=NUMBER or weight=default, not %s\n", what);
        json_decref(args);
        return COMMAND_USAGE;
    }
    json_object_set_new(args, "weight", json_integer(weight));
    return call(line, "server", args, what);
}
