#include "backend/store/store_call.h"

#include <string.h>

/* One struct for the three operations: they share most of what they ask for. */
struct queue_call {
    struct store_call call;
    const char *owner;
    enum store_kind kind;
    struct store_entry entry; /* added; id is the answer */
    struct store_limit limit; /* added */
    size_t max;               /* got */
    uint64_t after, last;
    const uint64_t *ids;
    size_t count; /* of ids */
    struct store_entries found;
    store_added_fn *added_fn;
    store_entries_fn *entries_fn;
    store_done_fn *done_fn;
};

bool store_limit_allows(const struct store_limit *limit, uint64_t entries, uint64_t bytes, size_t len)
{
    if (limit->entries > 0 && entries >= limit->entries) return false;
    return limit->bytes == 0 || (bytes <= limit->bytes && len <= limit->bytes - bytes);
}

static struct queue_call *queue_call(struct store_call *call)
{
    return CONTAINER_OF(call, struct queue_call, call);
}

static struct queue_call *queue_call_new(struct mailbox *reply_to, const char *owner, enum store_kind kind, void *arg)
{
    struct queue_call *call = store_call_new(sizeof *call, reply_to, arg);

    call->owner = arena_strdup(call->call.arena, owner);
    call->kind = kind;
    call->found.arena = call->call.arena;
    return call;
}

static void run_add(const struct store_engine *engine, void *state, struct store_call *call)
{
    struct queue_call *mine = queue_call(call);
    call->status = engine->queue_add(state, mine->owner, mine->kind, &mine->limit, &mine->entry);
}

static void answer_add(struct store_call *call)
{
    struct queue_call *mine = queue_call(call);
    mine->added_fn(call->status, call->status == STORE_OK ? mine->entry.id : 0, call->arg);
}

void store_queue_add(struct store *store, struct mailbox *reply_to, const char *owner, enum store_kind kind,
                     int64_t stamp_ms, const char *text, size_t len, const struct store_limit *limit,
                     store_added_fn *fn, void *arg)
{
    struct queue_call *call = queue_call_new(reply_to, owner, kind, arg);
    char *copy = arena_alloc(call->call.arena, len + 1);

    memcpy(copy, text, len);
    call->entry = (struct store_entry){.stamp_ms = stamp_ms, .text = copy, .len = len};
    if (limit) call->limit = *limit;
    call->added_fn = fn;
    call->call.run = run_add;
    call->call.answer = answer_add;
    store_call_post(store, &call->call);
}

static void run_get(const struct store_engine *engine, void *state, struct store_call *call)
{
    struct queue_call *mine = queue_call(call);
    mine->found.count = 0;
    call->status = engine->queue_get(state, mine->owner, mine->kind, mine->after, mine->max, &mine->found);
}

static void answer_get(struct store_call *call)
{
    struct queue_call *mine = queue_call(call);
    const bool ok = call->status == STORE_OK;
    mine->entries_fn(call->status, ok ? mine->found.items : NULL, ok ? mine->found.count : 0, call->arg);
}

void store_queue_get(struct store *store, struct mailbox *reply_to, const char *owner, enum store_kind kind,
                     uint64_t after, size_t max, store_entries_fn *fn, void *arg)
{
    struct queue_call *call = queue_call_new(reply_to, owner, kind, arg);

    call->after = after;
    call->max = max;
    call->entries_fn = fn;
    call->call.run = run_get;
    call->call.reads = true;
    call->call.answer = answer_get;
    store_call_post(store, &call->call);
}

static void run_del(const struct store_engine *engine, void *state, struct store_call *call)
{
    struct queue_call *mine = queue_call(call);
    call->status = engine->queue_del(state, mine->owner, mine->kind, mine->ids, mine->count, mine->last);
}

static void answer_del(struct store_call *call)
{
    queue_call(call)->done_fn(call->status, call->arg);
}

void store_queue_del(struct store *store, struct mailbox *reply_to, const char *owner, enum store_kind kind,
                     const uint64_t *ids, size_t count, uint64_t last, store_done_fn *fn, void *arg)
{
    struct queue_call *call = queue_call_new(reply_to, owner, kind, arg);

    if (ids) {
        uint64_t *copy = arena_alloc(call->call.arena, count * sizeof *ids);
        if (count) memcpy(copy, ids, count * sizeof *ids);
        call->ids = copy;
        call->count = count;
    }
    call->last = last;
    call->done_fn = fn;
    call->call.run = run_del;
    call->call.answer = answer_del;
    store_call_post(store, &call->call);
}

struct list_call {
    struct store_call call;
    struct store_remotes found;
    store_remotes_fn *fn;
};

static struct list_call *list_call(struct store_call *call)
{
    return CONTAINER_OF(call, struct list_call, call);
}

static void run_list(const struct store_engine *engine, void *state, struct store_call *call)
{
    list_call(call)->found.count = 0;
    call->status = engine->remote_list(state, &list_call(call)->found);
}

static void answer_list(struct store_call *call)
{
    const struct list_call *mine = list_call(call);
    const bool ok = call->status == STORE_OK;
    mine->fn(call->status, ok ? mine->found.items : NULL, ok ? mine->found.count : 0, call->arg);
}

void store_remote_list(struct store *store, struct mailbox *reply_to, store_remotes_fn *fn, void *arg)
{
    struct list_call *call = store_call_new(sizeof *call, reply_to, arg);

    call->found.arena = call->call.arena;
    call->fn = fn;
    call->call.run = run_list;
    call->call.reads = true;
    call->call.answer = answer_list;
    store_call_post(store, &call->call);
}
