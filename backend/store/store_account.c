#include "backend/store/store_call.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What was asked for, then what was found. */
struct account_call {
    struct store_call call;
    struct store_account account;
    store_account_fn *account_fn;
    store_done_fn *done_fn;
};

struct shapes_call {
    struct store_call call;
    const char *domain;
    struct store_shapes shapes;
    store_shapes_fn *fn;
};

struct list_call {
    struct store_call call;
    const char *domain; /* NULL: of all */
    bool disabled;      /* only those that are */
    struct store_names names;
    store_names_fn *fn;
};

static struct account_call *account_call(struct store_call *call)
{
    return CONTAINER_OF(call, struct account_call, call);
}

static void answer_account(struct store_call *call)
{
    struct account_call *mine = account_call(call);
    mine->account_fn(call->status, call->status == STORE_OK ? &mine->account : NULL, call->arg);
    mem_wipe(&mine->account, sizeof mine->account);
}

static void answer_done(struct store_call *call)
{
    struct account_call *mine = account_call(call);
    mine->done_fn(call->status, call->arg);
    mem_wipe(&mine->account, sizeof mine->account);
}

static void run_get(const struct store_engine *engine, void *state, struct store_call *call)
{
    struct account_call *mine = account_call(call);
    struct store_account found = {0};

    call->status = engine->account_get(state, mine->account.local, mine->account.domain, &found);
    mine->account = found;
    mem_wipe(&found, sizeof found);
}

static void run_add(const struct store_engine *engine, void *state, struct store_call *call)
{
    call->status = engine->account_add(state, &account_call(call)->account);
}

static void run_set_keys(const struct store_engine *engine, void *state, struct store_call *call)
{
    call->status = engine->account_set_keys(state, &account_call(call)->account);
}

/* What found has, if it is what the caller knows of it, completes the caller's. */
static bool merge_keys(struct store_account *account, const struct store_account *found)
{
    bool known = false;
    for (int hash = 0; hash < STORE_HASHES; hash++) {
        struct store_scram_keys *mine = &account->keys[hash];
        const struct store_scram_keys *there = &found->keys[hash];
        if (there->key_len == 0) continue;
        if (mine->key_len == 0) {
            *mine = *there;
        } else if (mine->key_len == there->key_len &&
                   CRYPTO_memcmp(mine->stored_key, there->stored_key, there->key_len) == 0) {
            known = true;
        } else {
            return false;
        }
    }
    return known;
}

static void run_add_keys(const struct store_engine *engine, void *state, struct store_call *call)
{
    struct store_account *account = &account_call(call)->account, found = {0};

    call->status = engine->account_get(state, account->local, account->domain, &found);
    if (call->status == STORE_OK)
        call->status = merge_keys(account, &found) ? engine->account_set_keys(state, account) : STORE_EXISTS;
    mem_wipe(&found, sizeof found);
}

static void run_set_disabled(const struct store_engine *engine, void *state, struct store_call *call)
{
    const struct store_account *account = &account_call(call)->account;
    call->status = engine->account_set_disabled(state, account->local, account->domain, account->disabled);
}

static void run_del(const struct store_engine *engine, void *state, struct store_call *call)
{
    const struct store_account *account = &account_call(call)->account;
    call->status = engine->account_del(state, account->local, account->domain);
}

static struct account_call *account_call_new(struct mailbox *reply_to, const char *local, const char *domain, void *arg)
{
    struct account_call *call = store_call_new(sizeof *call, reply_to, arg);

    snprintf(call->account.local, sizeof call->account.local, "%s", local);
    snprintf(call->account.domain, sizeof call->account.domain, "%s", domain);
    call->call.answer = answer_done;
    return call;
}

void store_account_get(struct store *store, struct mailbox *reply_to, const char *local, const char *domain,
                       store_account_fn *fn, void *arg)
{
    struct account_call *call = account_call_new(reply_to, local, domain, arg);

    call->call.run = run_get;
    call->call.reads = true;
    call->call.answer = answer_account;
    call->account_fn = fn;
    store_call_post(store, &call->call);
}

void store_account_add(struct store *store, struct mailbox *reply_to, const struct store_account *account,
                       store_done_fn *fn, void *arg)
{
    struct account_call *call = account_call_new(reply_to, account->local, account->domain, arg);

    call->account = *account;
    call->call.run = run_add;
    call->done_fn = fn;
    store_call_post(store, &call->call);
}

void store_account_set_keys(struct store *store, struct mailbox *reply_to, const struct store_account *account,
                            store_done_fn *fn, void *arg)
{
    struct account_call *call = account_call_new(reply_to, account->local, account->domain, arg);

    call->account = *account;
    call->call.run = run_set_keys;
    call->done_fn = fn;
    store_call_post(store, &call->call);
}

void store_account_add_keys(struct store *store, struct mailbox *reply_to, const struct store_account *account,
                            store_done_fn *fn, void *arg)
{
    struct account_call *call = account_call_new(reply_to, account->local, account->domain, arg);

    call->account = *account;
    call->call.run = run_add_keys;
    call->done_fn = fn;
    store_call_post(store, &call->call);
}

void store_account_set_disabled(struct store *store, struct mailbox *reply_to, const char *local, const char *domain,
                                bool disabled, store_done_fn *fn, void *arg)
{
    struct account_call *call = account_call_new(reply_to, local, domain, arg);

    call->account.disabled = disabled;
    call->call.run = run_set_disabled;
    call->done_fn = fn;
    store_call_post(store, &call->call);
}

void store_account_del(struct store *store, struct mailbox *reply_to, const char *local, const char *domain,
                       store_done_fn *fn, void *arg)
{
    struct account_call *call = account_call_new(reply_to, local, domain, arg);

    call->call.run = run_del;
    call->done_fn = fn;
    store_call_post(store, &call->call);
}

static struct shapes_call *shapes_call(struct store_call *call)
{
    return CONTAINER_OF(call, struct shapes_call, call);
}

static int compare_shapes(const void *a, const void *b)
{
    const struct store_shape *x = a, *y = b;
    return x->accounts < y->accounts ? 1 : x->accounts > y->accounts ? -1 : 0;
}

static void run_shapes(const struct store_engine *engine, void *state, struct store_call *call)
{
    struct shapes_call *mine = shapes_call(call);

    mine->shapes.count = 0;
    call->status = engine->account_shapes(state, mine->domain, &mine->shapes);
    if (mine->shapes.count > 1)
        qsort(mine->shapes.items, mine->shapes.count, sizeof(struct store_shape), compare_shapes);
}

static void answer_shapes(struct store_call *call)
{
    struct shapes_call *mine = shapes_call(call);
    const bool ok = call->status == STORE_OK;
    mine->fn(call->status, ok ? mine->shapes.items : NULL, ok ? mine->shapes.count : 0, call->arg);
}

void store_account_shapes(struct store *store, struct mailbox *reply_to, const char *domain, store_shapes_fn *fn,
                          void *arg)
{
    struct shapes_call *call = store_call_new(sizeof *call, reply_to, arg);

    call->domain = arena_strdup(call->call.arena, domain);
    call->shapes.arena = call->call.arena;
    call->call.run = run_shapes;
    call->call.reads = true;
    call->call.answer = answer_shapes;
    call->fn = fn;
    store_call_post(store, &call->call);
}

static struct list_call *list_call(struct store_call *call)
{
    return CONTAINER_OF(call, struct list_call, call);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void run_list(const struct store_engine *engine, void *state, struct store_call *call)
{
    struct list_call *mine = list_call(call);

    mine->names.count = 0;
    call->status = engine->account_list(state, mine->domain, mine->disabled, &mine->names);
    if (mine->names.count > 1) qsort(mine->names.items, mine->names.count, sizeof(char *), compare_names);
}

static void answer_list(struct store_call *call)
{
    struct list_call *mine = list_call(call);
    const bool ok = call->status == STORE_OK;
    mine->fn(call->status, ok ? mine->names.items : NULL, ok ? mine->names.count : 0, call->arg);
}

static void post_list(struct store *store, struct mailbox *reply_to, const char *domain, bool disabled,
                      store_names_fn *fn, void *arg)
{
    struct list_call *call = store_call_new(sizeof *call, reply_to, arg);

    call->domain = arena_strdup(call->call.arena, domain);
    call->disabled = disabled;
    call->names.arena = call->call.arena;
    call->call.run = run_list;
    call->call.reads = true;
    call->call.answer = answer_list;
    call->fn = fn;
    store_call_post(store, &call->call);
}

void store_account_list(struct store *store, struct mailbox *reply_to, const char *domain, store_names_fn *fn,
                        void *arg)
{
    post_list(store, reply_to, domain, false, fn, arg);
}

void store_account_list_disabled(struct store *store, struct mailbox *reply_to, const char *domain, store_names_fn *fn,
                                 void *arg)
{
    post_list(store, reply_to, domain, true, fn, arg);
}
