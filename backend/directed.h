/* directed - to whom a session has sent directed presence, and who must hear when it goes.
 *
 * Source: RFC 6121 section 4.6. */
#ifndef POSTERN_BACKEND_DIRECTED_H
#define POSTERN_BACKEND_DIRECTED_H

#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>

struct directed;

enum { DIRECTED_MAX_BYTES = 65536 }; /* of addresses, in one session: some 1,500 rooms */

/* directed_add - note a prepared address, once.  *list is NULL for none, and made when it is.  False: there are too
 * many. */
MUSTCHECK bool directed_add(struct directed **list, const char *jid);

/* directed_remove - forget exactly that address; *list is NULL after the last. */
void directed_remove(struct directed **list, const char *jid);

/* directed_has_bare - whether one of the addresses is bare, or is it with a resource. */
bool directed_has_bare(const struct directed *list, const char *bare);

/* directed_next - the address after that one, in the order in which they came; NULL: the first, and at the end. */
const char *directed_next(const struct directed *list, const char *after);

void directed_free(struct directed **list);

#endif
