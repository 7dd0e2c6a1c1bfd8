#include "lib/spare.h"

#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
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
