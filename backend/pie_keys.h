/* pie_keys - SCRAM keys as XEP-0227 writes them.
 *
 * Source: XEP-0227 section 4.3. */
#ifndef POSTERN_BACKEND_PIE_KEYS_H
#define POSTERN_BACKEND_PIE_KEYS_H

#include "backend/elem.h"
#include "backend/store.h"
#include "lib/check.h"

/* pie_keys_read - a <scram-credentials/> into the keys of its hash.  Returns 0, or -1 and a static text in why.  A
 * server that has encoded its base64 once more is forgiven. */
MUSTCHECK int pie_keys_read(const struct elem *elem, struct store_scram_keys keys[STORE_HASHES], const char **why);

/* pie_keys_add - all that there are, appended to a user. */
void pie_keys_add(struct elem *user, const struct store_scram_keys keys[STORE_HASHES]);

#endif
