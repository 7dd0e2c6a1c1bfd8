/* option_tree - what a configuration file is held as, between reading it and asking for it. */
#ifndef POSTERN_LIB_OPTION_TREE_H
#define POSTERN_LIB_OPTION_TREE_H

#include "lib/check.h"
#include "lib/list.h"
#include "lib/option.h"
#include "lib/option_value.h"

#include <stdarg.h>
#include <stddef.h>

struct option_section {
    struct list link; /* in its file, in the order of the file; the top level is first */
    struct option_file *file;
    const char *name; /* the row's; "" for the top level */
    char *title;      /* NULL for the top level and single sections */
    const char *path; /* the file it stands in; borrowed from the paths of struct option_file */
    int line;         /* 0: it stands nowhere */
    size_t count;
    struct option_value *values; /* one for each row of the section */
};

struct map;

struct option_file {
    const struct option_row *rows; /* borrowed */
    size_t row_count;
    char *folder; /* of the file, ending in a slash, or empty: the working folder */
    char **paths; /* the file and those it includes, as opened */
    size_t path_count;
    struct list sections;
    struct map *titled; /* name and title with a 0 byte between them -> the section, the first of the file */
};

/* option_tree_new - a file with its top level and every preset. */
struct option_file *option_tree_new(const char *path, const struct option_row *rows, size_t row_count);

/* option_tree_path - the file's own copy of path, for borrowing. */
const char *option_tree_path(struct option_file *file, const char *path);

/* option_tree_section - append a section with its presets; title may be NULL. */
struct option_section *option_tree_section(struct option_file *file, const char *name, const char *title,
                                           const char *path, int line);

/* option_tree_find - the first section with this title, or NULL. */
struct option_section *option_tree_find(const struct option_file *file, const char *name, const char *title);

/* option_tree_value - the value of an option, or NULL when the section has no such row. */
struct option_value *option_tree_value(const struct option_section *s, const char *option);

/* option_tree_row - the row that opens the section, or NULL. */
const struct option_row *option_tree_row(const struct option_file *file, const char *name);

/* option_tree_verror - write an error text: path and line (0: none), the section, the option (NULL: none), the
 * message. */
void option_tree_verror(const struct option_section *s, const char *path, int line, const char *option, char *error,
                        size_t cap, const char *fmt, va_list args) __attribute__((format(printf, 7, 0)));

/* option_folder - the folder of a file as option_resolve wants it; free() it. */
MUSTCHECK char *option_folder(const char *path);

#endif
