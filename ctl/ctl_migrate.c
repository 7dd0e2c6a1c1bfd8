#include "ctl/ctl_migrate.h"

#include "ctl/migrate_source.h"
#include "ctl/new_file.h"
#include "ctl/reach.h"
#include "ctl/report.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static enum command_status fail(const char *text)
{
    fprintf(stderr, "posternctl: %s\n", text);
    return COMMAND_REFUSED;
}

static bool is_ok(const json_t *answer)
{
    return json_is_true(json_object_get(answer, "ok"));
}

/* All that the file has, to standard output. */
static enum command_status copy_out(int fd)
{
    char piece[65536];
    ssize_t len = 0;
    off_t at = 0;
    while ((len = pread(fd, piece, sizeof(piece), at)) > 0) {
        at += len;
        if (fwrite(piece, 1, (size_t)len, stdout) != (size_t)len) break;
    }
    if (len == 0 && fflush(stdout) == 0) return COMMAND_OK;
    perror("posternctl: the export cannot be written");
    return COMMAND_REFUSED;
}

static enum command_status export_to_output(const struct command_line *line)
{
    json_t *answer = NULL;
    const int fd = new_file_nameless();
    if (fd < 0) return COMMAND_REFUSED;
    enum command_status status = reach_backend_passing(line, "export", json_object(), fd, &answer);
    if (status == COMMAND_OK && is_ok(answer)) {
        status = copy_out(fd);
        json_decref(answer);
    } else if (status == COMMAND_OK) {
        status = command_answer(line, answer, NULL);
    }
    close(fd);
    return status;
}

enum command_status ctl_migrate_export(const struct command_line *line)
{
    struct new_file file;
    json_t *answer = NULL;
    if (strcmp(line->args[0], "-") == 0) return export_to_output(line);
    enum command_status status = new_file_open(&file, line->args[0]);
    if (status != COMMAND_OK) return status;
    status = reach_backend_passing(line, "export", json_object(), file.fd, &answer);
    if (status == COMMAND_OK && is_ok(answer)) status = new_file_publish(&file);
    new_file_close(&file);
    if (status == COMMAND_OK) return command_answer(line, answer, NULL);
    json_decref(answer);
    return status;
}

/* What the command line of an import says. */
struct order {
    enum migrate_kind kind;
    const char *path, *host;
    bool replace, skip, dry_run;
};

/* read_option - the argument, and the one behind it (NULL: none).  Returns how many it has used, 0: it is none. */
static size_t read_option(struct order *order, const char *argument, const char *next)
{
    if (strcmp(argument, "--dry-run") == 0) {
        order->dry_run = true;
    } else if (strcmp(argument, "--replace") == 0) {
        order->replace = true;
    } else if (strcmp(argument, "--skip-existing") == 0) {
        order->skip = true;
    } else if (strcmp(argument, "--host") == 0 && next) {
        order->host = next;
        return 2;
    } else if (strcmp(argument, "--from") == 0 && next && migrate_source_kind(next) != MIGRATE_UNKNOWN) {
        order->kind = migrate_source_kind(next);
        return 2;
    } else {
        return 0;
    }
    return 1;
}

static bool read_order(const struct command_line *line, struct order *order)
{
    *order = (struct order){.kind = MIGRATE_UNKNOWN};
    for (size_t i = 0; i < line->arg_count;) {
        const char *argument = line->args[i];
        if (strncmp(argument, "--", 2) != 0) {
            if (order->path) return false;
            order->path = argument;
            i++;
            continue;
        }
        const size_t used = read_option(order, argument, i + 1 < line->arg_count ? line->args[i + 1] : NULL);
        if (used == 0) return false;
        i += used;
    }
    return order->path && !(order->replace && order->skip);
}

/* The accounts that were left out here come before what the backend says. */
static void add_left_out(json_t *report, const struct prosody_left_out *left_out)
{
    static const char NAME[] = "accounts not imported";
    json_t *counts = json_object_get(report, "counts"), *notes = json_object_get(report, "notes");
    const json_int_t failed = json_integer_value(json_object_get(counts, NAME));
    json_object_set_new(counts, NAME, json_integer(failed + (json_int_t)left_out->accounts));
    json_array_extend(notes, left_out->notes);
}

static void print_report(const struct order *order, json_t *report)
{
    const char *name = NULL;
    json_t *count = NULL, *note = NULL;
    size_t i = 0;
    const json_int_t more = json_integer_value(json_object_get(report, "more"));
    json_array_foreach(json_object_get(report, "notes"), i, note) fprintf(stderr, "%s\n", json_string_value(note));
    if (more > 0) fprintf(stderr, "and %lld more\n", (long long)more);
    if (order->dry_run) puts("this was a trial: nothing has changed");
    json_object_foreach(json_object_get(report, "counts"), name, count)
        printf("%s: %lld\n", name, (long long)json_integer_value(count));
}

/* A report (taken): COMMAND_OK only if no account was lost. */
static enum command_status finish(const struct command_line *line, const struct order *order, json_t *answer,
                                  const struct prosody_left_out *left_out)
{
    if (!is_ok(answer)) return command_answer(line, answer, NULL);
    json_t *report = json_object_get(answer, "result");
    const char *fault = json_string_value(json_object_get(report, "fault"));
    add_left_out(report, left_out);
    if (line->json) {
        report_json(report, stdout);
    } else {
        print_report(order, report);
        if (fault) fprintf(stderr, "posternctl: the import ended early: %s\n", fault);
    }
    const json_t *failed = json_object_get(json_object_get(report, "counts"), "accounts not imported");
    const enum command_status status = fault || json_integer_value(failed) > 0 ? COMMAND_REFUSED : COMMAND_OK;
    json_decref(answer);
    return status;
}

static enum command_status send(const struct command_line *line, const struct order *order, int fd,
                                const struct prosody_left_out *left_out)
{
    json_t *answer = NULL, *args = json_pack("{s:b, s:b, s:b, s:s*}", "replace", order->replace, "skip-existing",
                                             order->skip, "dry-run", order->dry_run, "host", order->host);
    if (!args) return fail("the host's name is not valid UTF-8");
    const enum command_status status = reach_backend_passing(line, "import", args, fd, &answer);
    return status == COMMAND_OK ? finish(line, order, answer, left_out) : status;
}

static enum command_status convert_and_send(const struct command_line *line, const struct order *order, int fd)
{
    char why[2048] = "";
    struct prosody_left_out left_out = {.notes = json_array()};
    const int copy = dup(fd);
    FILE *out = copy >= 0 ? fdopen(copy, "w") : NULL;
    enum command_status status = COMMAND_REFUSED;
    if (!out) {
        status = fail(strerror(errno));
    } else {
        int result = migrate_source_write(order->kind, order->path, order->host, out, &left_out, why, sizeof(why));
        const bool failed = ferror(out) != 0;
        if (fclose(out) != 0 || failed) {
            result = -1;
            if (!why[0]) snprintf(why, sizeof(why), "the temporary file cannot be written: %s", strerror(errno));
        }
        if (result == 0 && lseek(fd, 0, SEEK_SET) == 0) {
            status = send(line, order, fd, &left_out);
        } else {
            status = fail(why);
        }
    }
    json_decref(left_out.notes);
    return status;
}

enum command_status ctl_migrate_import(const struct command_line *line)
{
    struct order order;
    if (!read_order(line, &order)) {
        fprintf(stderr, "usage: posternctl import [--dry-run] [--replace|--skip-existing] [--host DOMAIN] "
                        "[--from prosody|xep0227] FILE|FOLDER\n");
        return COMMAND_USAGE;
    }
    const int fd = new_file_nameless();
    if (fd < 0) return COMMAND_REFUSED;
    const enum command_status status = convert_and_send(line, &order, fd);
    close(fd);
    return status;
}
