#include "backend/store/store_call.h"

#include <string.h>

/* whole points into the call and its arena. */
struct whole_call {
    struct store_call call;
    struct store_whole whole;
    struct store_account account;
    struct store_record *records;
    struct store_entry *entries;
    char *owner;
    const struct store_engine *engine;
    store_done_fn *fn;
};

static bool has_long_key(const struct store_whole *whole)
{
    for (size_t i = 0; i < whole->record_count; i++)
        if (strlen(whole->records[i].key) > STORE_KEY_TEXT_MAX_BYTES) return true;
    return false;
}

/* Whatever may be refused comes before the first change, see memory_as_one. */
static enum store_status put(void *state, void *arg)
{
    struct whole_call *mine = arg;
    const struct store_engine *engine = mine->engine;
    const struct store_limit any = {0};
    enum store_status status = STORE_OK;

    if (mine->whole.replace) {
        status = engine->account_del(state, mine->account.local, mine->account.domain);
        if (status == STORE_NOT_FOUND) status = STORE_OK;
    }
    if (status == STORE_OK) status = engine->account_add(state, &mine->account);
    if (status == STORE_OK && mine->whole.record_count > 0)
        status = engine->records_change(state, mine->owner, mine->records, mine->whole.record_count);
    for (size_t i = 0; i < mine->whole.entry_count && status == STORE_OK; i++)
        status = engine->queue_add(state, mine->owner, mine->whole.queue, &any, &mine->entries[i]);
    return status;
}

static void run_put(const struct store_engine *engine, void *state, struct store_call *call)
{
    struct whole_call *mine = CONTAINER_OF(call, struct whole_call, call);

    mine->engine = engine;
    call->status = has_long_key(&mine->whole) ? STORE_LIMIT : engine->as_one(state, put, mine);
}

static void answer_put(struct store_call *call)
{
    struct whole_call *mine = CONTAINER_OF(call, struct whole_call, call);

    mine->fn(call->status, call->arg);
    mem_wipe(&mine->account, sizeof mine->account);
}

static void copy_content(struct whole_call *call, const struct store_whole *whole)
{
    struct arena *arena = call->call.arena;

    call->records = arena_alloc(arena, (whole->record_count + 1) * sizeof *call->records);
    for (size_t i = 0; i < whole->record_count; i++) {
        call->records[i] = (struct store_record){.kind = whole->records[i].kind,
                                                 .key = arena_strdup(arena, whole->records[i].key),
                                                 .value = arena_strdup(arena, whole->records[i].value)};
    }
    call->entries = arena_alloc(arena, (whole->entry_count + 1) * sizeof *call->entries);
    for (size_t i = 0; i < whole->entry_count; i++) {
        const struct store_entry *entry = &whole->entries[i];
        call->entries[i] = (struct store_entry){
            .stamp_ms = entry->stamp_ms, .text = arena_strndup(arena, entry->text, entry->len), .len = entry->len};
    }
}

void store_account_put(struct store *store, struct mailbox *reply_to, const struct store_whole *whole,
                       store_done_fn *fn, void *arg)
{
    struct whole_call *call = store_call_new(sizeof *call, reply_to, arg);
    const struct store_account *account = whole->account;
    const size_t local = strlen(account->local), domain = strlen(account->domain);

    call->whole = *whole;
    call->account = *account;
    copy_content(call, whole);
    call->whole.account = &call->account;
    call->whole.records = call->records;
    call->whole.entries = call->entries;
    call->owner = arena_alloc(call->call.arena, local + domain + 2);
    memcpy(call->owner, account->local, local);
    call->owner[local] = '@';
    memcpy(call->owner + local + 1, account->domain, domain);
    call->fn = fn;
    call->call.run = run_put;
    call->call.answer = answer_put;
    store_call_post(store, &call->call);
}
