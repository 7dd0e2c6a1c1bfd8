/* option - configuration files, declared in a table and read with libconfuse.
 *
 * A program's options are rows of one .def table.  From it come the parser, the checks of type and range, the error
 * texts, the reference in docs/options.md (--options prints it) and the check that the example file has them all.
 *
 *     workers = 2
 *     listener "public" { address = {"*:443", "[*]:443"} }
 *
 * Values may stand in quotes or not; those with * or + or ${ or spaces in them must.  In "double quotes" ${NAME} and
 * ${NAME:-fallback} stand for an environment variable, and \\ \" \' \$ \n \r \t are escapes; in 'single quotes'
 * everything is itself.  A list is {"x", "y"}, and one value may stand alone.  # and // comment to the end of the
 * line, and C's long comments work, too.  include("file"), outside of sections, reads another file there; its name is
 * relative to the folder of the file that says so.
 *
 * Every error is "FILE:LINE: [section "title": ]option: what was expected".
 *
 * Only one thread of a process may load at a time (libconfuse's lexer is global). */
#ifndef POSTERN_LIB_OPTION_H
#define POSTERN_LIB_OPTION_H

#include "lib/addr.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum option_type {
    OPTION_BOOL,          /* true, false, yes, no, on, off */
    OPTION_INT,           /* min <= value <= max */
    OPTION_DURATION,      /* 500ms, 5s, 2m, 1h, 7d; a unit is required; held in ms; min and max in ms */
    OPTION_SIZE,          /* bytes: 512, 16k, 4m, 1g; min and max in bytes */
    OPTION_STRING,        /* any text */
    OPTION_ENUM,          /* one of "a|b|c" in choices */
    OPTION_STRING_LIST,   /* "x" or {"x", "y"} */
    OPTION_ENDPOINT,      /* endpoint_parse */
    OPTION_ENDPOINT_LIST, /* several */
    OPTION_PATH,          /* a file name; relative ones are relative to the configuration file's folder */
    OPTION_PATH_LIST,     /* several */
    OPTION_SECTION, /* opens the section "name"; choices is "titled" (name "title" {…}, any number) or "single" */
};

struct option_row {
    const char *section; /* "" for the top level */
    const char *name;
    enum option_type type;
    const char *preset; /* the default as it would be written in the file, one value even for a list; NULL: unset */
    int64_t min, max;   /* no bounds when both are 0 */
    const char *choices;
    const char *help; /* one or two sentences, Markdown */
};

struct option_file;    /* a whole parsed file */
struct option_section; /* one section of it; the top level is one, too */

/* option_load - read path by the rows.  Returns NULL with a full message in error (cap bytes, NUL-terminated, no
 * newline) for what cannot be read or does not fit the rows: unknown option, wrong type, out of range, given twice,
 * section titled twice.  rows are borrowed for the file's life. */
MUSTCHECK struct option_file *option_load(const char *path, const struct option_row *rows, size_t row_count,
                                          char *error, size_t cap);
void option_file_free(struct option_file **file);
const char *option_path(const struct option_file *file);

const struct option_section *option_top(const struct option_file *file);

/* option_next - the sections named name in file order: pass NULL first, then the one before; NULL at the end. */
const struct option_section *option_next(const struct option_file *file, const char *name,
                                         const struct option_section *before);
/* option_single - the section of a "single" row; present even when the file has none, with every preset. */
const struct option_section *option_single(const struct option_file *file, const char *name);
/* option_find - the section with this title, or NULL. */
const struct option_section *option_find(const struct option_file *file, const char *name, const char *title);

const char *option_title(const struct option_section *s);
int option_line(const struct option_section *s);                        /* where the section starts */
bool option_is_set(const struct option_section *s, const char *option); /* given in the file */

/* Getters; asking for a name or type that no row has is a bug (CHECK).  Results are borrowed from the file. */
bool option_bool(const struct option_section *s, const char *option);
int64_t option_int(const struct option_section *s, const char *option);     /* INT, DURATION (ms), SIZE (bytes); or 0 */
int option_enum(const struct option_section *s, const char *option);        /* index into choices; -1 when unset */
const char *option_str(const struct option_section *s, const char *option); /* STRING, PATH, ENUM; NULL when unset */
size_t option_count(const struct option_section *s, const char *option);    /* members of a list */
const char *option_item(const struct option_section *s, const char *option, size_t i);
const struct endpoint *option_endpoint(const struct option_section *s, const char *option, size_t i); /* NULL: unset */

/* option_same - whether an option has the same value in two sections, as written (a path: as resolved). */
bool option_same(const struct option_section *a, const struct option_section *b, const char *option);

/* option_each_file - the file and those it includes, as they were opened. */
void option_each_file(const struct option_file *file, void (*fn)(const char *path, void *arg), void *arg);

/* option_error - an error text of the common form for option (or for the section itself when option is NULL), for
 * checks that rows cannot express.  Returns -1 so that a check can end with it. */
int option_error(const struct option_section *s, const char *option, char *error, size_t cap, const char *fmt, ...)
    PRINTF_LIKE(5, 6);

/* option_print_rows - the rows as Markdown, one table for each section, for --options and the generated docs. */
void option_print_rows(const struct option_row *rows, size_t row_count, FILE *out);

/* option_print_value - the value of a top-level option as one line, for --print: a path is absolute, a duration in ms,
 * a size in bytes, a list's members are separated by spaces; unset gives an empty line.  Returns 0, or -1 and a message
 * in error: there is no such option. */
MUSTCHECK int option_print_value(const struct option_file *file, const char *name, FILE *out, char *error, size_t cap);

#endif
