#include "gateway/exec_seal.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { MAPS_LINE_BYTES = 512 };

/* Whether a line of /proc/self/maps is anonymous memory with these rights: no offset, device, inode or name.  Source:
 * proc(5). */
static bool is_anonymous(const char *line, const char *rights, uintptr_t *start, uintptr_t *end)
{
    static const char NOTHING[] = " 00000000 00:00 0 ";
    char *at = NULL;
    *start = (uintptr_t)strtoumax(line, &at, 16);
    if (*at != '-') return false;
    *end = (uintptr_t)strtoumax(at + 1, &at, 16);
    if (*at != ' ' || strncmp(at + 1, rights, strlen(rights)) != 0) return false;
    at += 1 + strlen(rights);
    if (strncmp(at, NOTHING, strlen(NOTHING)) != 0) return false;
    at += strlen(NOTHING);
    return at[strspn(at, " \n")] == '\0';
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
