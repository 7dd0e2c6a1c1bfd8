/* listener_pool - the listening sockets, which the master makes and the workers of every generation accept from.
 *
 * Each worker has a socket of its own for every address (SO_REUSEPORT: the kernel spreads clients over them).  The
 * master keeps them all, so a worker that is replaced, or all of them, lose no connection that waits to be accepted.
 * Closing one would: so those that are left over when there are fewer workers than before stay, and are shared out
 * among the workers; the same holds for those that the service manager has passed. */
#ifndef POSTERN_GATEWAY_LISTENER_POOL_H
#define POSTERN_GATEWAY_LISTENER_POOL_H

#include "gateway/gateway_config.h"
#include "lib/check.h"
#include "lib/list.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A socket in the master. */
struct listener {
    struct list link;
    uint64_t id; /* by which workers are told of it; never used again */
    int fd;
    size_t slot;                       /* its place among those of the address */
    bool passed;                       /* by the service manager, which keeps it open, too */
    bool fresh;                        /* made for a generation that does not serve yet */
    bool wanted;                       /* by the configuration that was prepared last */
    char address[ENDPOINT_TEXT_BYTES]; /* as it is written in the configuration, which finds the socket by it */
    struct endpoint bound;
};

struct listener_pool {
    struct list sockets; /* struct listener */
    uint64_t next_id;
};

/* A socket in a worker. */
struct listener_socket {
    const struct listener_config *config;
    uint64_t id;
    int fd; /* -1: closed in this process */
};

struct listener_set {
    size_t count;
    struct listener_socket *sockets;
};

struct listener_pool *listener_pool_new(void);
/* listener_pool_free - close all in this process. */
void listener_pool_free(struct listener_pool **pool);

/* listener_pool_restore - take fd, a socket of the program before this one, as it was there; bound is its own address.
 */
void listener_pool_restore(struct listener_pool *pool, int fd, const char *address, size_t slot, bool passed,
                           const struct endpoint *bound, uint64_t id);

/* listener_pool_prepare - open what a configuration needs and is not there.  Returns 0, or -1 and a message in why
 * that says who holds the port; nothing has changed then.  first: wait up to two seconds for an address that the
 * workers of a killed gateway still hold. */
MUSTCHECK int listener_pool_prepare(struct listener_pool *pool, const struct gateway_config *config, bool first,
                                    char *why, size_t cap);

/* listener_pool_commit - the prepared configuration serves: what it does not need is closed in this process.  Returns
 * the ids of these (the caller's reference): the workers that have them take who waits there before they close, too. */
MUSTCHECK json_t *listener_pool_commit(struct listener_pool *pool, const struct gateway_config *config);

/* listener_pool_rollback - it will not serve: what was opened for it is closed. */
void listener_pool_rollback(struct listener_pool *pool);

/* listener_pool_close - close all in this process that are not the service manager's: nobody is to be accepted any
 * more. */
void listener_pool_close(struct listener_pool *pool);

/* listener_pool_give - in a worker's process: take its sockets out of the pool.  fresh: its generation is the one that
 * was prepared last. */
struct listener_set *listener_pool_give(struct listener_pool *pool, const struct gateway_config *config, size_t worker,
                                        bool fresh);
void listener_set_free(struct listener_set **set);

#endif
