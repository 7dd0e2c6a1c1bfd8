/* key_shapes - how the SCRAM keys of each host's accounts are made: what can be offered to all of them, and what an
 * account that does not exist has to look like.
 *
 * Read by any thread; the store is asked from shard 0 at the start, and again some time after accounts have changed. */
#ifndef POSTERN_BACKEND_KEY_SHAPES_H
#define POSTERN_BACKEND_KEY_SHAPES_H

#include "backend/store.h"
#include "lib/loop.h"
#include "lib/mailbox.h"

#include <stdint.h>

struct backend;
struct key_shapes;

/* key_shapes_new - for the backend's store, on the loop of shard 0 and with its mailbox (all borrowed). */
struct key_shapes *key_shapes_new(struct backend *backend, struct loop *loop, struct mailbox *mailbox);
/* key_shapes_free - when the mailbox gets no answers of the store any more. */
void key_shapes_free(struct key_shapes **shapes);

/* key_shapes_load - ask about a host now, unless the server is stopping; shard 0.  key_shapes_wait - run the loop,
 * which does not run yet, until the answers are there. */
void key_shapes_load(struct key_shapes *shapes, const char *domain);
void key_shapes_wait(struct key_shapes *shapes);

/* key_shapes_when_known - call fn once all that was asked about is answered: at once, or later on shard 0. */
typedef void key_shapes_fn(void *arg);
void key_shapes_when_known(struct key_shapes *shapes, key_shapes_fn *fn, void *arg);

/* key_shapes_hashes - the hashes (bits 1 << STORE_HASH_*) for which every account of the host has keys. */
unsigned key_shapes_hashes(struct key_shapes *shapes, const char *domain);

/* key_shapes_choose - the shape of one of the host's accounts, the same for the same dice as long as they are what they
 * are; of a new account, with so many iterations, when there are none. */
struct store_shape key_shapes_choose(struct key_shapes *shapes, const char *domain, uint64_t dice, uint32_t iterations);

/* key_shapes_changed - an account of the host has these keys now (NULL: none). */
void key_shapes_changed(struct key_shapes *shapes, const char *domain, const struct store_scram_keys *keys);

#endif
