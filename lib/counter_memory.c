#include "lib/counter_memory.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    ALIGN_BYTES = 64,
    LAYOUT_VERSION = 1,
    COUNT_MAX = 1 << 24, /* of rows and of labels: more is no memory of ours */
};

struct counter_head {
    char mark[8]; /* "postern", and the version of the layout */
    uint64_t row_count, max_labels;
    _Atomic uint64_t label_count;
};

static const char MARK[8] = {'p', 'o', 's', 't', 'e', 'r', 'n', LAYOUT_VERSION};

static size_t align(size_t bytes)
{
    return (bytes + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
}

static size_t labels_at(size_t row_count)
{
    return align(sizeof(struct counter_head)) + row_count * COUNTER_NAME_BYTES;
}

static size_t cells_at(size_t row_count, size_t max_labels)
{
    return labels_at(row_count) + max_labels * COUNTER_NAME_BYTES;
}

static size_t size_of(size_t row_count, size_t max_labels)
{
    return cells_at(row_count, max_labels) + max_labels * row_count * sizeof(counter_cell);
}

static int map_memory(struct counter_memory *m, int fd, size_t row_count, size_t max_labels)
{
    size_t size_bytes = size_of(row_count, max_labels);
    char *memory = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) return -1;
    *m = (struct counter_memory){
        .fd = fd,
        .row_count = row_count,
        .max_labels = max_labels,
        .size_bytes = size_bytes,
        .head = (struct counter_head *)(void *)memory,
        .names = (char(*)[COUNTER_NAME_BYTES])(memory + align(sizeof(struct counter_head))),
        .labels = (char(*)[COUNTER_NAME_BYTES])(memory + labels_at(row_count)),
        .cells = (counter_cell *)(void *)(memory + cells_at(row_count, max_labels)),
    };
    return 0;
}

/* A memfd can be handed to the program that follows this one, and shows by its name in /proc/PID/maps. */
void counter_memory_make(struct counter_memory *m, const struct counter_row *rows, size_t row_count, size_t max_labels)
{
    int fd = memfd_create("postern-counters", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    CHECK(fd >= 0);
    CHECK(ftruncate(fd, (off_t)size_of(row_count, max_labels)) == 0);
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
    CHECK(map_memory(m, fd, row_count, max_labels) == 0);
    memcpy(m->head->mark, MARK, sizeof(MARK));
    m->head->row_count = row_count;
    m->head->max_labels = max_labels;
    for (size_t i = 0; i < row_count; i++) {
        size_t len = strlen(rows[i].name);
        CHECK(len < COUNTER_NAME_BYTES);
        memcpy(m->names[i], rows[i].name, len + 1);
    }
}

int counter_memory_open(struct counter_memory *m, int fd)
{
    struct counter_head head;
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) < 0) return -1;
    if (pread(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head) || memcmp(head.mark, MARK, sizeof(MARK)) != 0)
        return -1;
    if (head.row_count == 0 || head.row_count > COUNT_MAX || head.max_labels == 0 || head.max_labels > COUNT_MAX)
        return -1;
    if ((uint64_t)st.st_size != size_of(head.row_count, head.max_labels)) return -1;
    return map_memory(m, fd, head.row_count, head.max_labels);
}

void counter_memory_close(struct counter_memory *m)
{
    munmap(m->head, m->size_bytes);
    close(m->fd);
}

size_t counter_memory_labels(const struct counter_memory *m)
{
    uint64_t n = atomic_load_explicit(&m->head->label_count, memory_order_acquire);
    return n < m->max_labels ? n : m->max_labels;
}

void counter_memory_add(struct counter_memory *m, const char *label)
{
    size_t n = counter_memory_labels(m);
    CHECK(n < m->max_labels && strlen(label) < COUNTER_NAME_BYTES);
    memcpy(m->labels[n], label, strlen(label) + 1);
    atomic_store_explicit(&m->head->label_count, n + 1, memory_order_release);
}
