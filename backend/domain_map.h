/* domain_map - values by domain, or by "*.example.net": everything below a domain, but not that itself.
 *
 * Of several that fit, the closest one counts. */
#ifndef POSTERN_BACKEND_DOMAIN_MAP_H
#define POSTERN_BACKEND_DOMAIN_MAP_H

#include "backend/jid.h"
#include "lib/check.h"

#include <stdbool.h>

struct domain_map;

enum { DOMAIN_PATTERN_BYTES = JID_PART_MAX_BYTES + 3 };

/* domain_pattern_prepare - "example.net" or "*.example.net" as the map has them, into out (DOMAIN_PATTERN_BYTES).  0,
 * or -1 and *why (static). */
MUSTCHECK int domain_pattern_prepare(const char *text, char *out, const char **why);

struct domain_map *domain_map_new(void);

/* domain_map_free - and clear the pointer; values are not freed. */
void domain_map_free(struct domain_map **map);

/* domain_map_set - value (not NULL) for a prepared pattern; returns the value that was there, or NULL. */
const void *domain_map_set(struct domain_map *map, const char *pattern, const void *value);

/* domain_map_get - the value of that very pattern, or NULL. */
const void *domain_map_get(const struct domain_map *map, const char *pattern);

/* domain_map_find - the value of the closest pattern for a prepared domain, or NULL. */
const void *domain_map_find(const struct domain_map *map, const char *domain);

#endif
