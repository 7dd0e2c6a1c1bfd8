#include "backend/rsm.h"

#include "backend/ns.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NUMBER_BYTES = 24 };

/* A number too large to be counted is as good as the largest. */
static bool read_number(const char *text, uint32_t *out)
{
    uint64_t value = 0;
    if (*text == '\0') return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9') return false;
        value = value * 10 + (uint64_t)(*text - '0');
        if (value > UINT32_MAX) value = UINT32_MAX;
    }
    *out = (uint32_t)value;
    return true;
}

static const char *text_of(const struct elem *set, const char *name)
{
    const struct elem *child = elem_child(set, NS_RSM, name);
    return child ? elem_text(child, NULL) : NULL;
}

bool rsm_read(const struct elem *parent, struct rsm *out)
{
    const struct elem *set = elem_child(parent, NS_RSM, "set");
    *out = (struct rsm){0};
    if (!set) return true;
    uint32_t index = 0;
    const char *max = text_of(set, "max"), *at = text_of(set, "index");
    out->has_max = max != NULL;
    out->has_index = at != NULL;
    out->after = text_of(set, "after");
    out->before = text_of(set, "before");
    return (!max || read_number(max, &out->max)) && (!at || read_number(at, &index));
}

static void add_number(struct elem *set, const char *name, uint64_t value)
{
    char text[NUMBER_BYTES];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    elem_add_text(elem_add(set, NULL, name), text, strlen(text));
}

void rsm_add(struct elem *parent, const struct rsm_page *page)
{
    struct elem *set = elem_add(parent, NS_RSM, "set");
    if (page->first) {
        char index[NUMBER_BYTES];
        struct elem *first = elem_add(set, NULL, "first");
        snprintf(index, sizeof(index), "%" PRIu64, page->index);
        if (page->has_index) elem_set(first, "index", index);
        elem_add_text(first, page->first, strlen(page->first));
        elem_add_text(elem_add(set, NULL, "last"), page->last, strlen(page->last));
    }
    if (page->has_count) add_number(set, "count", page->count);
}
