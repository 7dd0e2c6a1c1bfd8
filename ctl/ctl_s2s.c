#include "ctl/ctl_s2s.h"

#include "ctl/reach.h"
#include "lib/buf.h"
#include "lib/check.h"
#include "lib/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));
    return text ? text : "";
}

static int compare_rows(const void *a, const void *b)
{
    static const char *const NAMES[] = {"domain", "local", "direction"};
    const json_t *const *one = a, *const *other = b;
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++) {
        const int order = strcmp(text_of(*one, NAMES[i]), text_of(*other, NAMES[i]));
        if (order != 0) return order;
    }
    return 0;
}

/* A new list with the same rows, by domain. */
static json_t *sorted(const json_t *rows)
{
    const size_t count = json_array_size(rows);
    json_t **all = mem_alloc((count + 1) * sizeof(json_t *));
    json_t *out = json_array();
    for (size_t i = 0; i < count; i++)
        all[i] = json_array_get(rows, i);
    qsort(all, count, sizeof(json_t *), compare_rows);
    for (size_t i = 0; i < count; i++)
        json_array_append(out, all[i]);
    free(all);
    return out;
}

/* Takes args; NULL: something in them is not UTF-8.  reshape (may be NULL; takes nothing, gives a new one) makes a list
 * readable. */
static enum command_status call(const struct command_line *line, const char *command, json_t *args,
                                json_t *(*reshape)(const json_t *rows))
{
    json_t *answer;
    if (!args) {
        fprintf(stderr, "posternctl: an argument is not valid UTF-8\n");
        return COMMAND_USAGE;
    }
    const enum command_status status = reach_backend(line, command, args, false, &answer);
    if (status != COMMAND_OK) return status;
    json_t *result = json_object_get(answer, "result");
    if (json_is_array(result)) {
        json_t *rows = sorted(result);
        json_object_set_new(answer, "result", reshape && !line->json ? reshape(rows) : json_incref(rows));
        json_decref(rows);
    }
    return command_answer(line, answer, NULL);
}

static json_t *domain_of(const struct command_line *line)
{
    return json_pack("{s:s*}", "domain", line->arg_count > 0 ? line->args[0] : NULL);
}

/* A time as somebody would say it, such as "3h 12m"; -1: none. */
static const char *span(json_int_t seconds, char out[32])
{
    static const struct {
        json_int_t seconds;
        char unit, below_unit;
        json_int_t below;
    } UNITS[] = {{86400, 'd', 'h', 3600}, {3600, 'h', 'm', 60}, {60, 'm', 's', 1}};
    snprintf(out, 32, "%" JSON_INTEGER_FORMAT "s", seconds);
    if (seconds < 0) snprintf(out, 32, "-");
    for (size_t i = 0; i < ARRAY_LEN(UNITS); i++) {
        if (seconds < UNITS[i].seconds) continue;
        snprintf(out, 32, "%" JSON_INTEGER_FORMAT "%c %" JSON_INTEGER_FORMAT "%c", seconds / UNITS[i].seconds,
                 UNITS[i].unit, seconds % UNITS[i].seconds / UNITS[i].below, UNITS[i].below_unit);
        break;
    }
    return out;
}

static const char *span_of(const json_t *row, const char *name, char out[32])
{
    const json_t *value = json_object_get(row, name);
    return span(json_is_integer(value) ? json_integer_value(value) : -1, out);
}

/* The failure, and when it is tried again. */
static char *problem_of(const json_t *row)
{
    char left[32];
    const char *failure = text_of(row, "failure"), *again = span_of(row, "retry_s", left);
    const bool waits = json_is_integer(json_object_get(row, "retry_s"));
    if (!*failure) return mem_strdup("-");
    return mem_asprintf("%s: %s%s%s", failure, text_of(row, "why"), waits ? "; next try in " : "", waits ? again : "");
}

/* What fits on a screen; --json has it all. */
static json_t *tidy_list(const json_t *rows)
{
    json_t *out = json_array();
    const json_t *row;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)rows, i, row)
    {
        char since[32], idle[32], *problem = problem_of(row);
        json_array_append_new(out, json_pack("{s:O, s:O, s:O, s:O, s:O, s:O, s:O, s:O, s:O, s:s, s:s, s:s}", "domain",
                                             json_object_get(row, "domain"), "local", json_object_get(row, "local"),
                                             "direction", json_object_get(row, "direction"), "state",
                                             json_object_get(row, "state"), "tls", json_object_get(row, "tls"), "proof",
                                             json_object_get(row, "proof"), "sm", json_object_get(row, "sm"), "unacked",
                                             json_object_get(row, "unacknowledged"), "queued",
                                             json_object_get(row, "queued"), "open", span_of(row, "since_s", since),
                                             "idle", span_of(row, "idle_s", idle), "problem", problem));
        free(problem);
    }
    return out;
}

enum command_status ctl_s2s_list(const struct command_line *line)
{
    return call(line, "s2s-list", domain_of(line), tidy_list);
}

enum command_status ctl_s2s_close(const struct command_line *line)
{
    return call(line, "s2s-close", domain_of(line), NULL);
}

enum command_status ctl_s2s_retry(const struct command_line *line)
{
    return call(line, "s2s-retry", domain_of(line), NULL);
}

enum command_status ctl_s2s_queue_list(const struct command_line *line)
{
    return call(line, "s2s-queue", domain_of(line), NULL);
}

enum command_status ctl_s2s_queue_purge(const struct command_line *line)
{
    json_t *args = domain_of(line);
    if (args) json_object_set_new(args, "bounce", json_boolean(line->bounce));
    return call(line, "s2s-purge", args, NULL);
}
