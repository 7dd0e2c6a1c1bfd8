#include "lib/counter.h"

#include "lib/mem.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { COUNTERS_MAGIC = 0x434e5452, LABEL_BYTES = 64 };

/* The shared memory: this head with max_labels labels, then max_labels blocks of row_count cells. */
struct counter_head {
    _Atomic size_t label_count; /* labels below it are complete and never change again */
    char labels[][LABEL_BYTES];
};

struct counters {
    unsigned magic;
    const struct counter_row *rows;
    size_t row_count, max_labels, size_bytes;
    struct counter_head *head;
    counter_cell *cells;
};

/* A memfd rather than an anonymous mapping, so that it shows by its name in /proc/PID/maps. */
static void *map_shared(size_t size_bytes)
{
    int fd = memfd_create("postern-counters", MFD_CLOEXEC);
    CHECK(fd >= 0);
    int rc = ftruncate(fd, (off_t)size_bytes);
    CHECK(rc == 0);
    void *p = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    close(fd);
    return p;
}

struct counters *counters_new(const struct counter_row *rows, size_t row_count, size_t max_labels)
{
    struct counters *c = MEM_NEW(struct counters);
    size_t head_bytes = sizeof(struct counter_head) + max_labels * LABEL_BYTES;
    head_bytes = (head_bytes + 63) / 64 * 64;
    c->magic = COUNTERS_MAGIC;
    c->rows = rows;
    c->row_count = row_count;
    c->max_labels = max_labels;
    c->size_bytes = head_bytes + max_labels * row_count * sizeof(counter_cell);
    c->head = map_shared(c->size_bytes);
    c->cells = (counter_cell *)(void *)((char *)c->head + head_bytes);
    return c;
}

void counters_free(struct counters **counters)
{
    struct counters *c = *counters;
    *counters = NULL;
    if (c == NULL) return;
    CHECK_MAGIC(c, COUNTERS_MAGIC);
    munmap(c->head, c->size_bytes);
    c->magic = 0;
    free(c);
}

counter_cell *counters_block(struct counters *counters, const char *label)
{
    CHECK_MAGIC(counters, COUNTERS_MAGIC);
    CHECK(strlen(label) < LABEL_BYTES);
    struct counter_head *head = counters->head;
    size_t n = atomic_load_explicit(&head->label_count, memory_order_acquire);
    for (size_t i = 0; i < n; i++)
        if (strcmp(head->labels[i], label) == 0) return counters->cells + i * counters->row_count;
    if (n == counters->max_labels) return NULL;
    memcpy(head->labels[n], label, strlen(label) + 1);
    atomic_store_explicit(&head->label_count, n + 1, memory_order_release);
    return counters->cells + n * counters->row_count;
}

const struct counter_row *counters_rows(const struct counters *counters, size_t *count)
{
    CHECK_MAGIC(counters, COUNTERS_MAGIC);
    *count = counters->row_count;
    return counters->rows;
}

void counters_each(const struct counters *counters, counters_fn *fn, void *arg)
{
    CHECK_MAGIC(counters, COUNTERS_MAGIC);
    size_t n = atomic_load_explicit(&counters->head->label_count, memory_order_acquire);
    for (size_t i = 0; i < n; i++) {
        const counter_cell *block = counters->cells + i * counters->row_count;
        for (size_t row = 0; row < counters->row_count; row++)
            fn(counters->head->labels[i], &counters->rows[row], counter_get(block, row), arg);
    }
}

void counter_print_rows(const struct counter_row *rows, size_t row_count, FILE *out)
{
    fputs("| counter | meaning |\n| --- | --- |\n", out);
    for (size_t i = 0; i < row_count; i++)
        fprintf(out, "| `%s` | %s |\n", rows[i].name, rows[i].help);
}
