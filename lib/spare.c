#include "lib/spare.h"

#include "lib/loop.h"
#include "lib/mem.h"

#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Code that was relocated is not what its file says: to drop it would break it. */
static bool has_relocated_code(const ElfW(Dyn) * dynamic)
{
    for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++) {
        if (dynamic->d_tag == DT_TEXTREL) return true;
        if (dynamic->d_tag == DT_FLAGS && (dynamic->d_un.d_val & DF_TEXTREL)) return true;
    }
    return false;
}

static const ElfW(Dyn) * find_dynamic(const struct dl_phdr_info *object)
{
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type == PT_DYNAMIC) return (const void *)(object->dlpi_addr + segment->p_vaddr);
    }
    return NULL;
}

/* A failure changes nothing, so it does not matter. */
static int drop_unwritable(struct dl_phdr_info *object, size_t size, void *arg)
{
    const uintptr_t page = *(const uintptr_t *)arg;
    (void)size;
    if (has_relocated_code(find_dynamic(object))) return 0;
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W)) continue;
        const uintptr_t start = object->dlpi_addr + segment->p_vaddr;
        const uintptr_t from = start & ~(page - 1);
        (void)madvise((void *)from, start + segment->p_memsz - from, MADV_DONTNEED);
    }
    return 0;
}

void spare_start_pages(void)
{
    const long size = sysconf(_SC_PAGESIZE);
    if (size <= 0) return;
    uintptr_t page = (uintptr_t)size;
    (void)malloc_trim(0);
    (void)dl_iterate_phdr(drop_unwritable, &page);
}

/* waits is armed from when enough was freed until it is given back. */
struct spare {
    struct deadline_queue *queue;
    struct deadline waits;
    size_t seen_bytes; /* mem_freed when it was armed */
    unsigned times;    /* that the loop was not quiet */
};

static void wait_for_quiet(struct spare *spare)
{
    spare->seen_bytes = mem_freed();
    deadline_arm(spare->queue, &spare->waits);
}

static void on_freed(void *arg)
{
    struct spare *spare = arg;
    if (list_linked(&spare->waits.link)) return;
    spare->times = 0;
    wait_for_quiet(spare);
}

static void on_waited(struct deadline *waits, void *arg)
{
    struct spare *spare = arg;
    (void)waits;
    if (mem_freed() - spare->seen_bytes > SPARE_QUIET_BYTES && ++spare->times < SPARE_PATIENCE) {
        wait_for_quiet(spare);
        return;
    }
    (void)malloc_trim(0);
    mem_on_freed(SPARE_EACH_BYTES, on_freed, spare);
}

struct spare *spare_new(struct loop *loop)
{
    struct spare *spare = MEM_NEW(struct spare);
    spare->queue = deadline_queue_new(loop, SPARE_WAIT_MS, on_waited, spare);
    mem_on_freed(SPARE_EACH_BYTES, on_freed, spare);
    return spare;
}

void spare_free(struct spare **spare)
{
    struct spare *s = *spare;
    if (!s) return;
    *spare = NULL;
    mem_on_freed(0, NULL, NULL);
    deadline_queue_free(&s->queue);
    free(s);
}
