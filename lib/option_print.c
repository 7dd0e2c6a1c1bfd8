#include "lib/option.h"

#include "lib/option_value.h"

#include <string.h>

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
        [OPTION_PATH] = "file name",
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
