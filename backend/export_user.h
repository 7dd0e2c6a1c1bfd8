/* export_user - what the store keeps of an account, as XEP-0227 writes it. */
#ifndef POSTERN_BACKEND_EXPORT_USER_H
#define POSTERN_BACKEND_EXPORT_USER_H

#include "backend/store.h"
#include "lib/buf.h"
#include "lib/check.h"

#include <stddef.h>
#include <stdint.h>

struct xml;

/* export_user_message - append an entry of the offline queue.  Returns false when it cannot be read. */
MUSTCHECK bool export_user_message(const struct store_account *account, const struct store_entry *entry,
                                   struct xml **parser, struct buf *out);

/* export_user_parts - append all but the messages, from the account and its records.  Returns how many records could
 * not be read. */
MUSTCHECK size_t export_user_parts(const struct store_account *account, const struct store_record *records,
                                   size_t count, struct xml **parser, struct buf *out);

#endif
