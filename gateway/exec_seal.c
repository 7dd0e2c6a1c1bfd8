#include "gateway/exec_seal.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { MAPS_LINE_BYTES = 512 };

/* Read a line of /proc/self/maps: whether it is anonymous memory with these rights.  Source: proc(5). */
static bool is_anonymous(const char *line, const char *rights, uintptr_t *start, uintptr_t *end)
{
    char found[5];
    unsigned long inode = 1;
    int name = 0;
    if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*x %*x:%*x %lu %n", start, end, found, &inode, &name) < 4)
        return false;
    return strcmp(found, rights) == 0 && inode == 0 && name > 0 && line[name] == '\0';
}

static int change(const char *from, int to)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL) return -1;
    char line[MAPS_LINE_BYTES];
    uintptr_t start = 0, end = 0;
    int result = 0;
    while (fgets(line, sizeof(line), maps) != NULL) {
        if (is_anonymous(line, from, &start, &end) && mprotect((void *)start, end - start, to) < 0) result = -1;
    }
    fclose(maps);
    return result;
}

int exec_seal_open(void)
{
    return change("r-xp", PROT_READ | PROT_WRITE | PROT_EXEC);
}

int exec_seal_close(void)
{
    return change("rwxp", PROT_READ | PROT_EXEC);
}
