#include "backend/domain_map.h"

#include "lib/map.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

struct domain_map {
    struct map *exact, *below; /* below: by the domain behind "*."; NULL: empty */
};

int domain_pattern_prepare(const char *text, char *out, const char **why)
{
    if (strncmp(text, "*.", 2) != 0) return jid_prepare_domain(text, out, why);
    out[0] = '*';
    out[1] = '.';
    return jid_prepare_domain(text + 2, out + 2, why);
}

struct domain_map *domain_map_new(void)
{
    return MEM_NEW(struct domain_map);
}

void domain_map_free(struct domain_map **map)
{
    struct domain_map *m = *map;
    if (!m) return;
    *map = NULL;
    if (m->exact) map_free(&m->exact);
    if (m->below) map_free(&m->below);
    free(m);
}

static bool is_below(const char *pattern)
{
    return pattern[0] == '*';
}

const void *domain_map_set(struct domain_map *map, const char *pattern, const void *value)
{
    struct map **slot = is_below(pattern) ? &map->below : &map->exact;
    if (!*slot) *slot = map_new();
    return map_set_str(*slot, pattern + (is_below(pattern) ? 2 : 0), (void *)(uintptr_t)value);
}

const void *domain_map_get(const struct domain_map *map, const char *pattern)
{
    const struct map *in = is_below(pattern) ? map->below : map->exact;
    return in ? map_get_str(in, pattern + (is_below(pattern) ? 2 : 0)) : NULL;
}

const void *domain_map_find(const struct domain_map *map, const char *domain)
{
    const void *found = map->exact ? map_get_str(map->exact, domain) : NULL;
    if (found || !map->below) return found;
    for (const char *dot = strchr(domain, '.'); dot && !found; dot = strchr(dot + 1, '.'))
        found = map_get_str(map->below, dot + 1);
    return found;
}
