#include "lib/counter.h"

#include "lib/counter_memory.h"
#include "lib/map.h"
#include "lib/mem.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { COUNTERS_MAGIC = 0x434e5452 };

/* What a program with other rows has counted, and its processes may still count; it is added when counters are read. */
struct older_counters {
    struct older_counters *next;
    struct counter_memory memory;
    struct map *index;         /* label -> block */
    const counter_cell *block; /* of the label that counters_each is at */
    size_t rows[];             /* by row of ours: its row there, or SIZE_MAX */
};

struct counters {
    unsigned magic;
    const struct counter_row *rows;
    struct counter_memory memory;
    struct map *index; /* label -> block */
    size_t indexed;    /* labels that are in it */
    struct older_counters *older;
};

/* The label is not trusted to have an end. */
static void index_label(struct map *index, const struct counter_memory *m, size_t i)
{
    map_set(index, m->labels[i], strnlen(m->labels[i], COUNTER_NAME_BYTES - 1), m->cells + i * m->row_count);
}

struct counters *counters_new(const struct counter_row *rows, size_t row_count, size_t max_labels)
{
    struct counters *c = MEM_NEW(struct counters);
    c->magic = COUNTERS_MAGIC;
    c->rows = rows;
    counter_memory_make(&c->memory, rows, row_count, max_labels);
    c->index = map_new();
    return c;
}

void counters_free(struct counters **counters)
{
    struct counters *c = *counters;
    *counters = NULL;
    if (c == NULL) return;
    CHECK_MAGIC(c, COUNTERS_MAGIC);
    while (c->older != NULL) {
        struct older_counters *older = c->older;
        c->older = older->next;
        counter_memory_close(&older->memory);
        map_free(&older->index);
        free(older);
    }
    counter_memory_close(&c->memory);
    map_free(&c->index);
    c->magic = 0;
    free(c);
}

static bool same_rows(const struct counters *c, const struct counter_memory *m)
{
    bool same = c->memory.row_count == m->row_count && c->memory.max_labels == m->max_labels;
    for (size_t i = 0; same && i < m->row_count; i++)
        same = strncmp(m->names[i], c->rows[i].name, COUNTER_NAME_BYTES) == 0;
    return same;
}

static size_t find_row(const struct counter_memory *m, const char *name)
{
    for (size_t i = 0; i < m->row_count; i++)
        if (strncmp(m->names[i], name, COUNTER_NAME_BYTES) == 0) return i;
    return SIZE_MAX;
}

static void add_older(struct counters *c, const struct counter_memory *memory)
{
    struct older_counters *older = mem_alloc(sizeof(*older) + c->memory.row_count * sizeof(older->rows[0]));
    older->memory = *memory;
    older->index = map_new();
    for (size_t row = 0; row < c->memory.row_count; row++)
        older->rows[row] = find_row(memory, c->rows[row].name);
    for (size_t i = 0; i < counter_memory_labels(memory); i++) {
        char *label = mem_strndup(memory->labels[i], COUNTER_NAME_BYTES - 1);
        index_label(older->index, memory, i);
        (void)!counters_block(c, label);
        free(label);
    }
    older->next = c->older;
    c->older = older;
}

int counters_adopt(struct counters *counters, int fd)
{
    struct counter_memory memory;
    CHECK_MAGIC(counters, COUNTERS_MAGIC);
    if (counter_memory_open(&memory, fd) < 0) return -1;
    if (counter_memory_labels(&counters->memory) == 0 && same_rows(counters, &memory)) {
        counter_memory_close(&counters->memory);
        counters->memory = memory;
    } else {
        add_older(counters, &memory);
    }
    return 0;
}

int counters_fd(const struct counters *counters, size_t i)
{
    CHECK_MAGIC(counters, COUNTERS_MAGIC);
    if (i == 0) return counters->memory.fd;
    const struct older_counters *older = counters->older;
    for (; older != NULL && i > 1; i--)
        older = older->next;
    return older != NULL ? older->memory.fd : -1;
}

counter_cell *counters_block(struct counters *counters, const char *label)
{
    CHECK_MAGIC(counters, COUNTERS_MAGIC);
    struct counter_memory *m = &counters->memory;
    /* Labels may have been made in another process. */
    for (; counters->indexed < counter_memory_labels(m); counters->indexed++)
        index_label(counters->index, m, counters->indexed);
    counter_cell *block = map_get_str(counters->index, label);
    if (block != NULL || counters->indexed == m->max_labels) return block;
    counter_memory_add(m, label);
    index_label(counters->index, m, counters->indexed);
    return m->cells + counters->indexed++ * m->row_count;
}

const struct counter_row *counters_rows(const struct counters *counters, size_t *count)
{
    CHECK_MAGIC(counters, COUNTERS_MAGIC);
    *count = counters->memory.row_count;
    return counters->rows;
}

/* Once for a label: there may be ten thousand, of a hundred rows each. */
static void find_older(const struct counters *counters, const char *label)
{
    for (struct older_counters *older = counters->older; older != NULL; older = older->next)
        older->block = map_get_str(older->index, label);
}

static uint64_t older_value(const struct counters *counters, size_t row)
{
    uint64_t value = 0;
    for (const struct older_counters *older = counters->older; older != NULL; older = older->next)
        if (older->block != NULL && older->rows[row] != SIZE_MAX) value += counter_get(older->block, older->rows[row]);
    return value;
}

void counters_each(const struct counters *counters, counters_fn *fn, void *arg)
{
    CHECK_MAGIC(counters, COUNTERS_MAGIC);
    const struct counter_memory *m = &counters->memory;
    size_t n = counter_memory_labels(m);
    for (size_t i = 0; i < n; i++) {
        const counter_cell *block = m->cells + i * m->row_count;
        find_older(counters, m->labels[i]);
        for (size_t row = 0; row < m->row_count; row++)
            fn(m->labels[i], &counters->rows[row], counter_get(block, row) + older_value(counters, row), arg);
    }
}

void counter_print_rows(const struct counter_row *rows, size_t row_count, FILE *out)
{
    fputs("| counter | meaning |\n| --- | --- |\n", out);
    for (size_t i = 0; i < row_count; i++)
        fprintf(out, "| `%s` | %s |\n", rows[i].name, rows[i].help);
}
