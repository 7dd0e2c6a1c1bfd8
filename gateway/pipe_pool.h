/* pipe_pool - pipes for splice(2), kept for reuse.
 *
 * A pipe belongs to one direction of a connection only while bytes are inside it, so an idle connection has none.
 * The number of pipes is bounded: the kernel limits the pages that one user's pipes may hold. */
#ifndef POSTERN_GATEWAY_PIPE_POOL_H
#define POSTERN_GATEWAY_PIPE_POOL_H

#include "lib/check.h"
#include "lib/list.h"

#include <stddef.h>

struct pipe_pool_pipe {
    struct list link;
    int read_fd, write_fd;
    size_t bytes; /* inside, as counted by the user */
};

struct pipe_pool {
    struct list idle;
    size_t idle_count, count; /* count has the lent ones, too */
};

void pipe_pool_init(struct pipe_pool *pool);

/* pipe_pool_close - close the idle pipes; every lent one has been given back before. */
void pipe_pool_close(struct pipe_pool *pool);

/* pipe_pool_take - an empty pipe, or NULL when none is to be had (the caller copies instead). */
MUSTCHECK struct pipe_pool_pipe *pipe_pool_take(struct pipe_pool *pool);

/* pipe_pool_give - give a pipe back and clear the caller's pointer.  One that still holds bytes is closed. */
void pipe_pool_give(struct pipe_pool *pool, struct pipe_pool_pipe **pipe);

#endif
