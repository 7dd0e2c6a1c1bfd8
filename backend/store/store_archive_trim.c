#include "backend/store/store_call.h"

#include <string.h>

/* So many archives are looked at, or so many entries deleted, before others are served again. */
enum { STEP_OWNERS = 50, STEP_ENTRIES = 500 };

bool store_archive_may_stay(const struct store_archive_keep *keep, const struct store_archive_size *size, uint64_t id)
{
    if (id < keep->from) return false;
    if (keep->entries > 0 && size->entries > keep->entries) return false;
    return keep->bytes == 0 || size->bytes <= keep->bytes;
}

void store_archive_took(struct store_archive_size *size, struct store_archive_purged *purged, uint64_t bytes)
{
    size->entries--;
    size->bytes -= bytes;
    purged->entries++;
    purged->bytes += bytes;
}

void store_archive_left(struct store_archive_purged *purged, uint64_t id)
{
    if (purged->first == 0 || id < purged->first) purged->first = id;
}

struct size_call {
    struct store_call call;
    const char *owner;
    struct store_archive_size size;
    store_archive_size_fn *fn;
};

static void run_size(const struct store_engine *engine, void *state, struct store_call *call)
{
    struct size_call *mine = CONTAINER_OF(call, struct size_call, call);
    call->status = engine->archive_size(state, mine->owner, &mine->size);
}

static void answer_size(struct store_call *call)
{
    const struct size_call *mine = CONTAINER_OF(call, struct size_call, call);
    mine->fn(call->status, call->status == STORE_OK ? &mine->size : NULL, call->arg);
}

void store_archive_size(struct store *store, struct mailbox *reply_to, const char *owner, store_archive_size_fn *fn,
                        void *arg)
{
    struct size_call *call = store_call_new(sizeof *call, reply_to, arg);

    call->owner = arena_strdup(call->call.arena, owner);
    call->fn = fn;
    call->call.run = run_size;
    call->call.reads = true;
    call->call.answer = answer_size;
    store_call_post(store, &call->call);
}

struct trim_call {
    struct store_call call;
    const char *owner;
    struct store_archive_keep keep;
    struct store_names names; /* whose archives */
    size_t next;              /* of them */
    struct store_archive_purged purged;
    store_archive_purged_fn *fn;
};

static void run_trim(const struct store_engine *engine, void *state, struct store_call *call)
{
    struct trim_call *mine = CONTAINER_OF(call, struct trim_call, call);
    const char *at = strchr(mine->owner, '@');

    if (!at) {
        call->status = engine->account_list(state, mine->owner, false, &mine->names);
        return;
    }
    store_names_add(&mine->names, arena_strndup(call->arena, mine->owner, (size_t)(at - mine->owner)), at + 1);
}

static enum store_status trim_some(const struct store_engine *engine, void *state, struct trim_call *mine)
{
    const uint64_t enough = mine->purged.entries + STEP_ENTRIES;
    size_t owners = STEP_OWNERS;

    while (owners-- > 0 && mine->next < mine->names.count && mine->purged.entries < enough) {
        bool more;
        const enum store_status status =
            engine->archive_purge(state, mine->names.items[mine->next], &mine->keep, &mine->purged, &more);
        /* An account of a domain may have been deleted meanwhile. */
        if (status != STORE_OK && (status != STORE_NOT_FOUND || strchr(mine->owner, '@'))) return status;
        if (!more) mine->next++;
    }
    return STORE_OK;
}

static bool step_trim(const struct store_engine *engine, void *state, struct store_call *call, bool stopping)
{
    struct trim_call *mine = CONTAINER_OF(call, struct trim_call, call);

    if (stopping) {
        call->status = STORE_FAILED;
        return false;
    }
    if (mine->next == mine->names.count) return false;
    call->status = engine->begin(state);
    if (call->status != STORE_OK) return false;
    call->status = trim_some(engine, state, mine);
    const enum store_status committed = engine->commit(state);
    if (call->status == STORE_OK) call->status = committed;
    engine->rest(state);
    return call->status == STORE_OK;
}

static void answer_trim(struct store_call *call)
{
    const struct trim_call *mine = CONTAINER_OF(call, struct trim_call, call);
    mine->fn(call->status, call->status == STORE_OK ? &mine->purged : NULL, call->arg);
}

void store_archive_trim(struct store *store, struct mailbox *reply_to, const char *owner,
                        const struct store_archive_keep *keep, store_archive_purged_fn *fn, void *arg)
{
    struct trim_call *call = store_call_new(sizeof *call, reply_to, arg);

    call->owner = arena_strdup(call->call.arena, owner);
    call->keep = *keep;
    call->names.arena = call->call.arena;
    call->fn = fn;
    call->call.run = run_trim;
    call->call.step = step_trim;
    call->call.answer = answer_trim;
    store_call_post(store, &call->call);
}
