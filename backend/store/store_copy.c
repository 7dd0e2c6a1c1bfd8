#include "backend/store/store_call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct copy_call {
    struct store_call call;
    int fd;
    void *copy; /* the engine's, once it has begun */
    char why[512];
    uint64_t bytes;
    store_copy_fn *fn;
};

static void run_copy(const struct store_engine *engine, void *state, struct store_call *call)
{
    struct copy_call *mine = CONTAINER_OF(call, struct copy_call, call);

    (void)state;
    if (engine->copy_begin) return;
    call->status = STORE_FAILED;
    snprintf(mine->why, sizeof mine->why, "the storage engine \"%s\" makes no copies", engine->name);
}

/* Whatever the engine did is in the file now; let it be on the disk. */
static void finish_file(struct copy_call *mine)
{
    struct stat st;

    if (fsync(mine->fd) == 0 && fstat(mine->fd, &st) == 0)
        mine->bytes = (uint64_t)st.st_size;
    else
        snprintf(mine->why, sizeof mine->why, "the copy cannot be brought to its disk: %s", strerror(errno));
}

static bool step_copy(const struct store_engine *engine, void *state, struct store_call *call, bool stopping)
{
    struct copy_call *mine = CONTAINER_OF(call, struct copy_call, call);

    if (stopping) snprintf(mine->why, sizeof mine->why, "the server stops");
    if (!stopping && !mine->copy) mine->copy = engine->copy_begin(state, mine->fd, mine->why, sizeof mine->why);
    if (!stopping && mine->copy && engine->copy_step(mine->copy, mine->why, sizeof mine->why)) return true;
    if (mine->copy) engine->copy_end(mine->copy);
    if (!mine->why[0]) finish_file(mine);
    if (mine->why[0]) call->status = STORE_FAILED;
    return false;
}

static void answer_copy(struct store_call *call)
{
    struct copy_call *mine = CONTAINER_OF(call, struct copy_call, call);

    close(mine->fd);
    mine->fn(call->status, mine->bytes, mine->why, call->arg);
}

void store_copy(struct store *store, struct mailbox *reply_to, int fd, store_copy_fn *fn, void *arg)
{
    struct copy_call *call = store_call_new(sizeof *call, reply_to, arg);

    call->fd = fd;
    call->fn = fn;
    call->call.run = run_copy;
    call->call.step = step_copy;
    call->call.answer = answer_copy;
    store_call_post(store, &call->call);
}
