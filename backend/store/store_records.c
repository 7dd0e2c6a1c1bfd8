#include "backend/store/store_call.h"

#include <string.h>

struct get_call {
    struct store_call call;
    const char *owner, *key;
    unsigned kinds;
    struct store_records found;
    store_records_fn *fn;
};

struct change_call {
    struct store_call call;
    const char *owner;
    struct store_record *changes;
    size_t count;
    store_done_fn *fn;
};

static void run_get(const struct store_engine *engine, void *state, struct store_call *call)
{
    struct get_call *mine = CONTAINER_OF(call, struct get_call, call);
    mine->found.count = 0;
    call->status = engine->records_get(state, mine->owner, mine->kinds, mine->key, &mine->found);
}

static void answer_get(struct store_call *call)
{
    struct get_call *mine = CONTAINER_OF(call, struct get_call, call);
    const bool ok = call->status == STORE_OK;
    mine->fn(call->status, ok ? mine->found.items : NULL, ok ? mine->found.count : 0, call->arg);
}

void store_records_get(struct store *store, struct mailbox *reply_to, const char *owner, unsigned kinds,
                       const char *key, store_records_fn *fn, void *arg)
{
    struct get_call *call = store_call_new(sizeof *call, reply_to, arg);

    call->owner = arena_strdup(call->call.arena, owner);
    call->key = arena_strdup(call->call.arena, key);
    call->kinds = kinds;
    call->found.arena = call->call.arena;
    call->fn = fn;
    call->call.run = run_get;
    call->call.reads = true;
    call->call.answer = answer_get;
    store_call_post(store, &call->call);
}

static void run_change(const struct store_engine *engine, void *state, struct store_call *call)
{
    struct change_call *mine = CONTAINER_OF(call, struct change_call, call);

    for (size_t i = 0; i < mine->count; i++) {
        if (strlen(mine->changes[i].key) <= STORE_KEY_TEXT_MAX_BYTES) continue;
        call->status = STORE_LIMIT;
        return;
    }
    call->status = engine->records_change(state, mine->owner, mine->changes, mine->count);
}

static void answer_change(struct store_call *call)
{
    CONTAINER_OF(call, struct change_call, call)->fn(call->status, call->arg);
}

void store_records_change(struct store *store, struct mailbox *reply_to, const char *owner,
                          const struct store_record *changes, size_t count, store_done_fn *fn, void *arg)
{
    struct change_call *call = store_call_new(sizeof *call, reply_to, arg);
    struct arena *arena = call->call.arena;

    call->owner = arena_strdup(arena, owner);
    call->changes = arena_alloc(arena, count * sizeof *changes);
    call->count = count;
    for (size_t i = 0; i < count; i++) {
        call->changes[i] = (struct store_record){.kind = changes[i].kind,
                                                 .key = arena_strdup(arena, changes[i].key),
                                                 .value = arena_strdup(arena, changes[i].value)};
    }
    call->fn = fn;
    call->call.run = run_change;
    call->call.answer = answer_change;
    store_call_post(store, &call->call);
}
