#include "ctl/report.h"

#include "lib/check.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NESTING_MAX = 4, COLUMNS_MAX = 32 };

void report_json(json_t *value, FILE *out)
{
    if (!value || json_dumpf(value, out, JSON_INDENT(2) | JSON_ENCODE_ANY) != 0) fputs("null", out);
    fputc('\n', out);
}

/* What a server sends may hold what users chose: control characters must not reach the terminal. */
static void put_text(const char *text, FILE *out)
{
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            fprintf(out, "\\x%02x", (unsigned)(unsigned char)*c);
        } else {
            fputc(*c, out);
        }
    }
}

static void put_scalar(json_t *value, FILE *out)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        put_text(json_string_value(value), out);
        break;
    case JSON_INTEGER:
        fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        fprintf(out, "%g", json_real_value(value));
        break;
    case JSON_TRUE:
        fputs("yes", out);
        break;
    case JSON_FALSE:
        fputs("no", out);
        break;
    case JSON_NULL:
        fputc('-', out);
        break;
    case JSON_OBJECT:
    case JSON_ARRAY:
        json_dumpf(value, out, JSON_COMPACT);
        break;
    }
}

/* A cell as it is printed; the caller frees it. */
static char *cell_text(const json_t *row, const char *name)
{
    char *text = NULL;
    size_t len = 0;
    json_t *cell = json_object_get(row, name);
    FILE *out = open_memstream(&text, &len);
    CHECK(out != NULL);
    if (cell) put_scalar(cell, out);
    CHECK(fclose(out) == 0);
    return text;
}

static size_t column_width(json_t *rows, const char *name)
{
    size_t width = strlen(name), i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        char *text = cell_text(row, name);
        if (strlen(text) > width) width = strlen(text);
        free(text);
    }
    return width;
}

/* A list of objects: the first one's names are the columns.  Between them are tabs, so that cut(1) works, but on a
 * terminal the columns are aligned. */
static void put_table(json_t *rows, FILE *out)
{
    json_t *first = json_array_get(rows, 0), *ignored, *row;
    int widths[COLUMNS_MAX] = {0};
    size_t columns = json_object_size(first), column = 0, i;
    bool aligned = isatty(fileno(out)) && columns <= COLUMNS_MAX;
    const char *name;
    json_object_foreach(first, name, ignored)
    {
        bool last = ++column == columns;
        if (aligned && !last) widths[column - 1] = (int)column_width(rows, name);
        fprintf(out, "%-*s%s", aligned ? widths[column - 1] : 0, name, last ? "\n" : aligned ? "  " : "\t");
    }
    json_array_foreach(rows, i, row)
    {
        column = 0;
        json_object_foreach(first, name, ignored)
        {
            bool last = ++column == columns;
            char *text = cell_text(row, name);
            fprintf(out, "%-*s%s", aligned ? widths[column - 1] : 0, text, last ? "\n" : aligned ? "  " : "\t");
            free(text);
        }
    }
}

static void put_list(json_t *list, FILE *out)
{
    size_t i;
    json_t *item;
    if (json_is_object(json_array_get(list, 0))) {
        put_table(list, out);
        return;
    }
    json_array_foreach(list, i, item)
    {
        put_scalar(item, out);
        fputc('\n', out);
    }
}

/* An answer nests a few levels; deeper ones are written as JSON by put_scalar.  Counters that stand at 0 are left out:
 * --json has them all. */
static void put_nested(json_t *value, const char *path, unsigned depth, FILE *out)
{
    const char *name;
    json_t *member;
    size_t i;
    char below[256];
    if (json_is_object(value) && depth > 0) {
        json_object_foreach(value, name, member)
        {
            snprintf(below, sizeof below, "%s%s%s", path, *path && *name ? "." : "", name);
            const bool zero = json_is_integer(member) && json_integer_value(member) == 0;
            if (depth == NESTING_MAX || !zero) put_nested(member, below, depth - 1, out);
        }
    } else if (json_is_array(value) && json_is_object(json_array_get(value, 0)) && depth > 0) {
        json_array_foreach(value, i, member)
        {
            snprintf(below, sizeof below, "%s.%zu", path, i);
            put_nested(member, below, depth - 1, out);
        }
    } else {
        put_text(path, out);
        fputs(": ", out);
        put_scalar(value, out);
        fputc('\n', out);
    }
}

void report_text(json_t *value, FILE *out)
{
    if (json_is_object(value)) {
        put_nested(value, "", NESTING_MAX, out);
    } else if (json_is_array(value)) {
        put_list(value, out);
    } else {
        put_scalar(value, out);
        fputc('\n', out);
    }
}
