/* counter_memory - the shared memory of a set of counters, which describes itself.
 *
 * A memfd of a fixed size: a head, the names of the rows, the labels, and a block of cells for each label.  What is not
 * used yet costs no memory. */
#ifndef POSTERN_LIB_COUNTER_MEMORY_H
#define POSTERN_LIB_COUNTER_MEMORY_H

#include "lib/check.h"
#include "lib/counter.h"

#include <stddef.h>
#include <stdint.h>

enum { COUNTER_NAME_BYTES = 64 }; /* of a row's name and of a label, with the NUL */

struct counter_memory {
    int fd;
    size_t row_count, max_labels, size_bytes;
    struct counter_head *head;
    char (*names)[COUNTER_NAME_BYTES];  /* of the rows */
    char (*labels)[COUNTER_NAME_BYTES]; /* those below the count are complete and never change again */
    counter_cell *cells;                /* max_labels blocks of row_count */
};

/* counter_memory_make - new memory, all 0. */
void counter_memory_make(struct counter_memory *m, const struct counter_row *rows, size_t row_count, size_t max_labels);

/* counter_memory_open - the memory that another program has made; fd is taken.  Returns 0, or -1 when it is none, or in
 * a form that this program does not know; fd is then the caller's. */
MUSTCHECK int counter_memory_open(struct counter_memory *m, int fd);
void counter_memory_close(struct counter_memory *m);

/* counter_memory_labels - how many labels there are.  counter_memory_add - one more; the caller has checked that there
 * is room. */
size_t counter_memory_labels(const struct counter_memory *m);
void counter_memory_add(struct counter_memory *m, const char *label);

#endif
