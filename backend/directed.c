#include "backend/directed.h"

#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

enum { STEP_BYTES = 64 };

/* One allocation: addresses, each with its NUL. */
struct directed {
    size_t len, cap;
    char text[];
};

const char *directed_next(const struct directed *list, const char *after)
{
    if (!list) return NULL;
    const char *next = after ? after + strlen(after) + 1 : list->text;
    return next < list->text + list->len ? next : NULL;
}

static char *find(struct directed *list, const char *jid)
{
    const char *at = NULL;
    while ((at = directed_next(list, at)) != NULL)
        if (strcmp(at, jid) == 0) return list->text + (at - list->text);
    return NULL;
}

bool directed_add(struct directed **list, const char *jid)
{
    if (find(*list, jid)) return true;
    const size_t bytes = strlen(jid) + 1, len = *list ? (*list)->len : 0;
    if (len + bytes > DIRECTED_MAX_BYTES) return false;
    if (!*list || len + bytes > (*list)->cap) {
        const size_t cap = len + bytes + (*list ? len / 2 + STEP_BYTES : 0); /* most sessions have none or one */
        *list = mem_realloc(*list, sizeof(struct directed) + cap);
        (*list)->cap = cap;
    }
    memcpy((*list)->text + len, jid, bytes);
    (*list)->len = len + bytes;
    return true;
}

void directed_remove(struct directed **list, const char *jid)
{
    char *at = find(*list, jid);
    if (!at) return;
    const char *rest = at + strlen(at) + 1;
    const size_t left = (size_t)((*list)->text + (*list)->len - rest);
    (*list)->len -= (size_t)(rest - at);
    memmove(at, rest, left);
    if ((*list)->len == 0) directed_free(list);
}

bool directed_has_bare(const struct directed *list, const char *bare)
{
    const size_t len = strlen(bare);
    const char *at = NULL;
    while ((at = directed_next(list, at)) != NULL)
        if (strncmp(at, bare, len) == 0 && (at[len] == '\0' || at[len] == '/')) return true;
    return false;
}

void directed_free(struct directed **list)
{
    free(*list);
    *list = NULL;
}
