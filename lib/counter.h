/* counter - named counters in shared memory, one block of them for each label.
 *
 * The rows come from a .def table, which also makes the enum, the docs and the reports.  The memory is a memfd mapped
 * MAP_SHARED, so that worker processes add to what the master reads, and counters outlive a worker. */
#ifndef POSTERN_LIB_COUNTER_H
#define POSTERN_LIB_COUNTER_H

#include "lib/check.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct counter_row {
    const char *name; /* "connections", "close_peek_timeout" */
    const char *help;
};

struct counters;
typedef _Atomic uint64_t counter_cell;

/* counters_new - a set of rows x max_labels cells, all 0; rows are borrowed for ever. */
struct counters *counters_new(const struct counter_row *rows, size_t row_count, size_t max_labels);
void counters_free(struct counters **counters);

/* counters_adopt - go on from the memory (a memfd, taken) of the program that ran before, of which processes may still
 * add to it.  Before the first counters_block, memory with the same rows becomes this set's own; any other is added by
 * label and name of row when counters are read.  Returns 0, or -1 when that is no such memory; fd is then the caller's.
 */
MUSTCHECK int counters_adopt(struct counters *counters, int fd);

/* counters_fd - the i-th memfd to be adopted by the program that follows, in the order for counters_adopt; -1: there
 * are no more. */
int counters_fd(const struct counters *counters, size_t i);

/* counters_block - the cells of a label ("" is the whole process), indexed by row; made on first use.  Labels are at
 * most 63 bytes.  NULL when max_labels are in use.  Call before forking: not safe against itself in two processes. */
MUSTCHECK counter_cell *counters_block(struct counters *counters, const char *label);

static inline void counter_add(counter_cell *block, size_t row, uint64_t n)
{
    atomic_fetch_add_explicit(&block[row], n, memory_order_relaxed);
}

static inline uint64_t counter_get(const counter_cell *block, size_t row)
{
    return atomic_load_explicit(&block[row], memory_order_relaxed);
}

/* counters_rows - the rows of the set, *count of them. */
const struct counter_row *counters_rows(const struct counters *counters, size_t *count);

/* counters_each - call fn for every label and row, labels in the order in which they were made. */
typedef void counters_fn(const char *label, const struct counter_row *row, uint64_t value, void *arg);
void counters_each(const struct counters *counters, counters_fn *fn, void *arg);

/* counter_print_rows - the rows as a Markdown table, for --counters and the generated docs. */
void counter_print_rows(const struct counter_row *rows, size_t row_count, FILE *out);

#endif
