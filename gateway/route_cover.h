/* route_cover - finds the earlier route that leaves nothing for a later one, without comparing each with each. */
#ifndef POSTERN_GATEWAY_ROUTE_COVER_H
#define POSTERN_GATEWAY_ROUTE_COVER_H

#include "gateway/route_walk.h"

struct route_cover;

/* route_cover_new - for a table of at most this many rows, which is borrowed. */
struct route_cover *route_cover_new(const struct route_table *table, size_t rows);
void route_cover_free(struct route_cover **cover);

/* route_cover_add - take up a row that route_walk_add has taken up. */
void route_cover_add(struct route_cover *cover, size_t row);

/* route_cover_find - the first row taken up that holds for every connection that this one, not taken up yet, holds for;
 * NULL: none. */
const struct rule *route_cover_find(const struct route_cover *cover, size_t row);

#endif
