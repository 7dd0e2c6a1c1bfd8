/* caps - a hash that stands for what service discovery would say.
 *
 * Source: XEP-0115 section 5. */
#ifndef POSTERN_BACKEND_CAPS_H
#define POSTERN_BACKEND_CAPS_H

#include "backend/elem.h"

#include <stdbool.h>

struct host;

enum { CAPS_HASH_BYTES = 29 }; /* with its NUL */

/* caps_hash - of the content of a query of disco#info, by SHA-1, as base64. */
void caps_hash(const struct elem *query, char out[CAPS_HASH_BYTES]);

/* caps_add_feature - print the host's own as a stream feature. */
void caps_add_feature(const struct host *host, struct buf *out);

/* caps_is_node - whether node is the one that the feature leads clients to. */
bool caps_is_node(const struct host *host, const char *node);

#endif
