/* route_walk - finds a row without looking at those whose names are others, with the result of looking at every row.
 *
 * Rows are of two kinds.  Named ones have names in sni: the index says which of them a name belongs to.  Loose ones
 * have none, or a regular expression: they are looked at one after another.  Both are visited in the order of the file,
 * so the first that holds wins, and one that needs more bytes lets no later one win. */
#ifndef POSTERN_GATEWAY_ROUTE_WALK_H
#define POSTERN_GATEWAY_ROUTE_WALK_H

#include "gateway/name_index.h"
#include "gateway/rule.h"

/* As long as the name is not there, a named row for connections as they were sent needs more if its place holds, and is
 * passed if not: of all with the same conditions on the place the first one stands for all. */
struct route_places {
    struct map *known; /* the conditions as bytes -> &known */
    uint32_t *first;   /* rising */
    size_t count;
};

struct route_table {
    size_t count;
    struct rule *rules; /* in file order */
    struct pattern_set *patterns;
    struct name_index *names;
    size_t first_named; /* SIZE_MAX: none */
    uint32_t *loose;    /* rising */
    size_t loose_count;
    struct route_places places;
    struct name_matches matches; /* of the connection that is decided on; kept here, since clearing it takes long */
};

/* route_walk_init, route_walk_clear - what a table needs besides its rows; loose has room for every row. */
void route_walk_init(struct route_table *table, size_t rows);
void route_walk_clear(struct route_table *table);

/* route_walk_add - take up the next row. */
void route_walk_add(struct route_table *table, size_t row);

/* route_walk - PROBE_MATCH: *row is what was found; PROBE_MORE: more bytes are needed; PROBE_NO: no row holds. */
MUSTCHECK enum probe_verdict route_walk(struct route_table *table, struct look *look, size_t *row);

#endif
