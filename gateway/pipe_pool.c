#include "gateway/pipe_pool.h"

#include "lib/mem.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    PIPE_BYTES = 512 * 1024,    /* what we ask for */
    PIPE_BYTES_MIN = 64 * 1024, /* with less, copying is better */
    PIPE_COUNT_MAX = 512,       /* for each worker, in use and idle */
    PIPE_IDLE_COUNT_MAX = 32,
};

void pipe_pool_init(struct pipe_pool *pool)
{
    list_init(&pool->idle);
    pool->idle_count = pool->count = 0;
}

static void pipe_free(struct pipe_pool *pool, struct pipe_pool_pipe *pipe)
{
    close(pipe->read_fd);
    close(pipe->write_fd);
    free(pipe);
    pool->count--;
}

void pipe_pool_close(struct pipe_pool *pool)
{
    LIST_EACH (pos, &pool->idle) {
        list_remove(pos);
        pipe_free(pool, LIST_ENTRY(pos, struct pipe_pool_pipe, link));
    }
    CHECK(pool->count == 0);
}

static struct pipe_pool_pipe *pipe_new(struct pipe_pool *pool)
{
    int fds[2];
    if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0) return NULL;
    /* Over the user's soft limit the kernel refuses to grow a pipe, and gives new ones a page or two. */
    int size = fcntl(fds[1], F_SETPIPE_SZ, PIPE_BYTES);
    if (size < 0) size = fcntl(fds[1], F_GETPIPE_SZ);
    if (size < PIPE_BYTES_MIN) {
        close(fds[0]);
        close(fds[1]);
        return NULL;
    }
    struct pipe_pool_pipe *pipe = MEM_NEW(struct pipe_pool_pipe);
    list_init(&pipe->link);
    pipe->read_fd = fds[0];
    pipe->write_fd = fds[1];
    pool->count++;
    return pipe;
}

struct pipe_pool_pipe *pipe_pool_take(struct pipe_pool *pool)
{
    struct list *first = list_first(&pool->idle);
    if (first != NULL) {
        list_remove(first);
        pool->idle_count--;
        return LIST_ENTRY(first, struct pipe_pool_pipe, link);
    }
    if (pool->count >= PIPE_COUNT_MAX) return NULL;
    return pipe_new(pool);
}

void pipe_pool_give(struct pipe_pool *pool, struct pipe_pool_pipe **pipe)
{
    struct pipe_pool_pipe *old = *pipe;
    *pipe = NULL;
    if (old->bytes > 0 || pool->idle_count >= PIPE_IDLE_COUNT_MAX) {
        pipe_free(pool, old);
        return;
    }
    list_append(&pool->idle, &old->link);
    pool->idle_count++;
}
