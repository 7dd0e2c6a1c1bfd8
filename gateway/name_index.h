/* name_index - finds the rows that a host name belongs to, in the same time however many names and rows there are. */
#ifndef POSTERN_GATEWAY_NAME_INDEX_H
#define POSTERN_GATEWAY_NAME_INDEX_H

#include "lib/check.h"

#include <stddef.h>
#include <stdint.h>

struct name_index;

struct name_index *name_index_new(void);
void name_index_free(struct name_index **index);

/* name_index_add - the row has this cleaned name, or this "*." pattern.  Rows come in rising order. */
void name_index_add(struct name_index *index, const char *pattern, size_t row);

enum { NAME_MATCHES_MAX = 128 }; /* a name has at most 127 labels, each of which may begin what stands for a "*." */

/* The rows of a name; borrowed from the index. */
struct name_matches {
    size_t count;
    struct {
        const uint32_t *next, *end; /* rising; next is the first that was not passed yet */
    } lists[NAME_MATCHES_MAX];
};

/* name_index_find - begin with the rows of a cleaned name; for a "*." pattern those that take every name that fits it.
 */
void name_index_find(const struct name_index *index, const char *name, struct name_matches *out);

/* name_matches_from - the first row that is not before row, or SIZE_MAX; row rises from call to call. */
size_t name_matches_from(struct name_matches *matches, size_t row);

#endif
