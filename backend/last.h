/* last - when an account was last there.
 *
 * Its record, of kind LAST, under the key "": <query xmlns='jabber:iq:last' at='SECONDS'>the last status</query>, with
 * seconds since 1970.  It is written when the last available resource goes.  Source: XEP-0012. */
#ifndef POSTERN_BACKEND_LAST_H
#define POSTERN_BACKEND_LAST_H

#include "backend/store.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shard;
struct user;

/* last_read - from the records of an account, of whatever kinds: when (seconds since 1970), and the status (an
 * allocation; NULL: none).  False: there is no record. */
MUSTCHECK bool last_read(struct shard *shard, const struct store_record *records, size_t count, int64_t *at_s,
                         char **status);

/* last_seen_s - when the user, who has no available resource, had one last, in seconds since 1970; 0: nobody knows. */
int64_t last_seen_s(const struct user *user);

#endif
