/* option_value - the value of one option: from the text in a file to what the program asks for. */
#ifndef POSTERN_LIB_OPTION_VALUE_H
#define POSTERN_LIB_OPTION_VALUE_H

#include "lib/addr.h"
#include "lib/check.h"
#include "lib/option.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct option_value {
    const struct option_row *row;
    const char *path; /* the file that set it; borrowed */
    int line;
    bool set;                   /* given in a file, not the preset */
    size_t count;               /* members of texts; of endpoints, too, for that type */
    char **texts;               /* as written; a path is resolved */
    int64_t number;             /* BOOL, INT, DURATION, SIZE; ENUM: the index into choices */
    struct endpoint *endpoints; /* ENDPOINT, ENDPOINT_LIST */
};

bool option_value_is_list(const struct option_row *row);

/* option_value_add - read one text by the row and append it.  folder is what relative paths are relative to.  Returns
 * 0, or -1 and in why what was expected. */
MUSTCHECK int option_value_add(struct option_value *v, const char *text, const char *folder, char *why, size_t cap);

/* option_value_clear - forget the texts. */
void option_value_clear(struct option_value *v);

/* option_value_range - the bounds of a row in the units of the file, such as "from 50ms to 10m"; empty if it has none.
 */
void option_value_range(const struct option_row *row, char *out, size_t cap);

/* option_choice - copy the i-th of "a|b|c" to out.  Returns false when there are not so many. */
bool option_choice(const char *choices, size_t i, char *out, size_t cap);

/* option_resolve - name, or folder/name when it is relative; free() it. */
MUSTCHECK char *option_resolve(const char *folder, const char *name);

#endif
