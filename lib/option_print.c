#include "lib/option.h"

#include "lib/option_tree.h"
#include "lib/option_value.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A bar would end the cell of a table. */
static void print_cell(const char *text, FILE *out)
{
    for (; *text; text++) {
        if (*text == '|') fputc('\\', out);
        fputc(*text, out);
    }
}

static void print_choices(const char *choices, FILE *out)
{
    char choice[64];
    for (size_t i = 0; option_choice(choices, i, choice, sizeof choice); i++)
        fprintf(out, "%s`%s`", i ? ", " : "", choice);
}

static void print_type(const struct option_row *row, FILE *out)
{
    static const char *const names[] = {
        [OPTION_BOOL] = "true or false", [OPTION_INT] = "number",
        [OPTION_DURATION] = "time",      [OPTION_SIZE] = "size",
        [OPTION_STRING] = "text",        [OPTION_STRING_LIST] = "texts",
        [OPTION_ENDPOINT] = "address",   [OPTION_ENDPOINT_LIST] = "addresses",
        [OPTION_PATH] = "file name",     [OPTION_PATH_LIST] = "file names",
    };
    if (row->type == OPTION_ENUM) {
        print_choices(row->choices, out);
        return;
    }
    char range[80] = "";
    bool bounded = row->type == OPTION_INT || row->type == OPTION_DURATION || row->type == OPTION_SIZE;
    if (bounded) option_value_range(row, range, sizeof range);
    fprintf(out, "%s%s%s", names[row->type], *range ? " " : "", range);
}

static void print_row(const struct option_row *row, FILE *out)
{
    fprintf(out, "| `%s` | ", row->name);
    print_type(row, out);
    fputs(" | ", out);
    if (row->preset) {
        fputc('`', out);
        print_cell(row->preset, out);
        fputc('`', out);
    }
    fputs(" | ", out);
    print_cell(row->help, out);
    fputs(" |\n", out);
}

static void print_table(const struct option_row *rows, size_t row_count, const char *section, FILE *out)
{
    fputs("| option | value | preset | meaning |\n| --- | --- | --- | --- |\n", out);
    for (size_t i = 0; i < row_count; i++)
        if (rows[i].type != OPTION_SECTION && strcmp(rows[i].section, section) == 0) print_row(&rows[i], out);
}

void option_print_rows(const struct option_row *rows, size_t row_count, FILE *out)
{
    fputs("## Top level\n\n", out);
    print_table(rows, row_count, "", out);
    for (size_t i = 0; i < row_count; i++) {
        if (rows[i].type != OPTION_SECTION) continue;
        const char *title = strcmp(rows[i].choices, "titled") == 0 ? " \"name\"" : "";
        fprintf(out, "\n## `%s%s { … }`\n\n%s\n\n", rows[i].name, title, rows[i].help);
        print_table(rows, row_count, rows[i].name, out);
    }
}

/* A relative path is relative to where we are; who reads the answer may be elsewhere. */
static void print_path(const char *path, FILE *out)
{
    char *folder = path[0] == '/' ? NULL : getcwd(NULL, 0);
    fprintf(out, "%s%s%s", folder ? folder : "", folder ? "/" : "", path);
    free(folder);
}

static void print_value(const struct option_section *s, const struct option_row *row, FILE *out)
{
    const char *text = NULL;
    switch (row->type) {
    case OPTION_BOOL:
        fputs(option_bool(s, row->name) ? "true" : "false", out);
        break;
    case OPTION_INT:
    case OPTION_DURATION:
    case OPTION_SIZE:
        fprintf(out, "%" PRId64, option_int(s, row->name));
        break;
    case OPTION_PATH:
        text = option_str(s, row->name);
        if (text) print_path(text, out);
        break;
    case OPTION_STRING:
    case OPTION_ENUM:
        text = option_str(s, row->name);
        if (text) fputs(text, out);
        break;
    case OPTION_STRING_LIST:
    case OPTION_PATH_LIST:
    case OPTION_ENDPOINT_LIST:
        for (size_t i = 0; i < option_count(s, row->name); i++)
            fprintf(out, "%s%s", i ? " " : "", option_item(s, row->name, i));
        break;
    case OPTION_ENDPOINT:
    case OPTION_SECTION:
        CHECK(false); /* refused by the caller */
    }
    fputc('\n', out);
}

int option_print_value(const struct option_file *file, const char *name, FILE *out, char *error, size_t cap)
{
    for (size_t i = 0; i < file->row_count; i++) {
        const struct option_row *row = &file->rows[i];
        if (row->section[0] != '\0' || strcmp(row->name, name) != 0) continue;
        if (row->type == OPTION_SECTION || row->type == OPTION_ENDPOINT) break;
        print_value(option_top(file), row, out);
        return 0;
    }
    snprintf(error, cap, "there is no option \"%s\" with a plain value outside of all sections", name);
    return -1;
}
