#include "gateway/name_index.h"

#include "lib/map.h"
#include "lib/mem.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The rows of one name or pattern; first when there is but one, as it mostly is. */
struct row_list {
    uint32_t count;
    uint32_t first;
    uint32_t *more; /* all of them, when there are several */
};

struct name_index {
    struct map *names;  /* "a.test", and ".a.test" for "*.a.test" -> struct row_list */
    size_t suffix_dots; /* of the pattern that has most of them; 0: there is no pattern */
};

struct name_index *name_index_new(void)
{
    struct name_index *index = MEM_NEW(struct name_index);
    index->names = map_new();
    return index;
}

static bool free_list(const void *key, size_t key_len, void *value, void *arg)
{
    struct row_list *list = value;
    (void)key, (void)key_len, (void)arg;
    free(list->more);
    free(list);
    return true;
}

void name_index_free(struct name_index **index)
{
    struct name_index *old = *index;
    if (old == NULL) return;
    *index = NULL;
    map_each(old->names, free_list, NULL);
    map_free(&old->names);
    free(old);
}

static void append(struct row_list *list, uint32_t row)
{
    const uint32_t *rows = list->more != NULL ? list->more : &list->first;
    if (rows[list->count - 1] == row) return;
    /* Room doubles at each power of two. */
    if (list->more == NULL || (list->count & (list->count - 1)) == 0) {
        bool had = list->more != NULL;
        list->more = mem_realloc(list->more, 2 * (size_t)list->count * sizeof(*list->more));
        if (!had) list->more[0] = list->first;
    }
    list->more[list->count++] = row;
}

static size_t count_dots(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += *text == '.';
    return count;
}

void name_index_add(struct name_index *index, const char *pattern, size_t row)
{
    const char *key = pattern[0] == '*' ? pattern + 1 : pattern;
    size_t dots = pattern[0] == '*' ? count_dots(key) : 0;
    if (dots > index->suffix_dots) index->suffix_dots = dots;
    struct row_list *list = map_get_str(index->names, key);
    if (list != NULL) {
        append(list, (uint32_t)row);
        return;
    }
    list = MEM_NEW(struct row_list);
    *list = (struct row_list){.count = 1, .first = (uint32_t)row};
    map_set_str(index->names, key, list);
}

static void take(const struct name_index *index, const char *key, size_t len, struct name_matches *out)
{
    const struct row_list *list = map_get(index->names, key, len);
    if (list == NULL || out->count == NAME_MATCHES_MAX) return;
    const uint32_t *rows = list->more != NULL ? list->more : &list->first;
    out->lists[out->count].next = rows;
    out->lists[out->count++].end = rows + list->count;
}

void name_index_find(const struct name_index *index, const char *name, struct name_matches *out)
{
    size_t len = strlen(name), dots = 0;
    out->count = 0;
    /* Names in files begin with no dot; keys of patterns do. */
    if (name[0] != '*' && name[0] != '.') take(index, name, len, out);
    for (size_t at = len; at-- > 0 && dots < index->suffix_dots;) {
        if (name[at] != '.' || at == 0) continue;
        dots++;
        take(index, name + at, len - at, out);
    }
}

size_t name_matches_from(struct name_matches *matches, size_t row)
{
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < matches->count; i++) {
        while (matches->lists[i].next < matches->lists[i].end && *matches->lists[i].next < row)
            matches->lists[i].next++;
        if (matches->lists[i].next < matches->lists[i].end && *matches->lists[i].next < least)
            least = *matches->lists[i].next;
    }
    return least;
}
