#include "backend/store.h"

#include "backend/store/store_engine.h"
#include "lib/list.h"
#include "lib/mem.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More waiting calls than this are committed in several batches, so that the first need not wait for the last. */
enum { BATCH_MAX = 512 };

static const struct store_engine *const ENGINES[] = {&STORE_SQLITE, &STORE_MEMORY};

/* One call on its way: queue -> engine's thread -> mailbox of the caller, where it is answered and freed. */
struct store_call {
    struct list link;
    struct mailbox *reply_to;
    void (*run)(const struct store_engine *engine, void *state, struct store_call *call);
    mailbox_fn *answer;
    bool all_domains;
    enum store_status status;
    struct store_account account; /* what was asked for, then what was found */
    struct store_names names;
    union {
        store_account_fn *account_fn;
        store_done_fn *done_fn;
        store_names_fn *names_fn;
    };
    void *arg;
};

struct store {
    const struct store_engine *engine;
    void *state; /* the engine's; touched by its thread only */
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;
    struct list calls;
    bool closing;
};

void store_names_add(struct store_names *names, const char *local, const char *domain)
{
    if (names->count == names->cap) {
        names->cap = names->cap ? names->cap * 2 : 16;
        names->items = mem_realloc(names->items, names->cap * sizeof *names->items);
    }
    names->items[names->count++] = mem_asprintf("%s@%s", local, domain);
}

static void call_free(struct store_call *call)
{
    for (size_t i = 0; i < call->names.count; i++)
        free(call->names.items[i]);
    free(call->names.items);
    mem_wipe(&call->account, sizeof call->account);
    free(call);
}

/* take_batch - wait for calls, and move up to BATCH_MAX of them.  false: closing, and none is left. */
static bool take_batch(struct store *store, struct list *batch)
{
    pthread_mutex_lock(&store->lock);
    while (list_empty(&store->calls) && !store->closing)
        pthread_cond_wait(&store->wake, &store->lock);
    for (size_t i = 0; i < BATCH_MAX && !list_empty(&store->calls); i++) {
        struct list *link = list_first(&store->calls);
        list_remove(link);
        list_append(batch, link);
    }
    pthread_mutex_unlock(&store->lock);
    return !list_empty(batch);
}

static void run_batch(struct store *store, struct list *batch)
{
    const struct store_engine *engine = store->engine;
    enum store_status begun = engine->begin(store->state);

    LIST_EACH (link, batch) {
        struct store_call *call = LIST_ENTRY(link, struct store_call, link);
        call->status = begun;
        if (begun == STORE_OK) call->run(engine, store->state, call);
    }
    /* What was read may rest on a write of the same batch, so a failed commit fails the readers too. */
    enum store_status committed = begun == STORE_OK ? engine->commit(store->state) : begun;
    LIST_EACH (link, batch) {
        struct store_call *call = LIST_ENTRY(link, struct store_call, link);
        list_remove(&call->link);
        if (committed != STORE_OK) call->status = committed;
        mailbox_post(call->reply_to, call->answer, call);
    }
}

static void *store_thread(void *arg)
{
    struct store *store = arg;
    struct list batch;

    list_init(&batch);
    while (take_batch(store, &batch))
        run_batch(store, &batch);
    return NULL;
}

struct store *store_open(const char *engine_name, const char *folder, char *why, size_t cap)
{
    const struct store_engine *engine = NULL;

    for (size_t i = 0; i < ARRAY_LEN(ENGINES); i++) {
        if (strcmp(ENGINES[i]->name, engine_name) == 0) engine = ENGINES[i];
    }
    if (!engine) {
        snprintf(why, cap, "no storage engine is called \"%s\"", engine_name);
        return NULL;
    }
    void *state = engine->open(folder, why, cap);
    if (!state) return NULL;
    struct store *store = MEM_NEW(struct store);
    store->engine = engine;
    store->state = state;
    list_init(&store->calls);
    pthread_mutex_init(&store->lock, NULL);
    pthread_cond_init(&store->wake, NULL);
    int error = pthread_create(&store->thread, NULL, store_thread, store);
    if (error == 0) return store;
    snprintf(why, cap, "no thread for the store: %s", strerror(error));
    engine->close(state);
    free(store);
    return NULL;
}

void store_close(struct store **store_place)
{
    struct store *store = *store_place;

    if (!store) return;
    pthread_mutex_lock(&store->lock);
    store->closing = true;
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->thread, NULL);
    store->engine->close(store->state);
    pthread_cond_destroy(&store->wake);
    pthread_mutex_destroy(&store->lock);
    free(store);
    *store_place = NULL;
}

static struct store_call *call_new(struct mailbox *reply_to, mailbox_fn *answer, const char *local, const char *domain,
                                   void *arg)
{
    struct store_call *call = MEM_NEW(struct store_call);

    call->reply_to = reply_to;
    call->answer = answer;
    call->arg = arg;
    snprintf(call->account.local, sizeof call->account.local, "%s", local);
    snprintf(call->account.domain, sizeof call->account.domain, "%s", domain);
    return call;
}

static void post(struct store *store, struct store_call *call)
{
    pthread_mutex_lock(&store->lock);
    CHECK(!store->closing);
    bool was_empty = list_empty(&store->calls);
    list_append(&store->calls, &call->link);
    if (was_empty) pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->lock);
}

static void answer_account(void *arg)
{
    struct store_call *call = arg;
    call->account_fn(call->status, call->status == STORE_OK ? &call->account : NULL, call->arg);
    call_free(call);
}

static void answer_done(void *arg)
{
    struct store_call *call = arg;
    call->done_fn(call->status, call->arg);
    call_free(call);
}

static void answer_names(void *arg)
{
    struct store_call *call = arg;
    call->names_fn(call->status, (const char *const *)(void *)call->names.items, call->names.count, call->arg);
    call_free(call);
}

static void run_get(const struct store_engine *engine, void *state, struct store_call *call)
{
    struct store_account found = {0};

    call->status = engine->account_get(state, call->account.local, call->account.domain, &found);
    call->account = found;
    mem_wipe(&found, sizeof found);
}

static void run_add(const struct store_engine *engine, void *state, struct store_call *call)
{
    call->status = engine->account_add(state, &call->account);
}

static void run_set_keys(const struct store_engine *engine, void *state, struct store_call *call)
{
    call->status = engine->account_set_keys(state, &call->account);
}

static void run_del(const struct store_engine *engine, void *state, struct store_call *call)
{
    call->status = engine->account_del(state, call->account.local, call->account.domain);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void run_list(const struct store_engine *engine, void *state, struct store_call *call)
{
    call->status = engine->account_list(state, call->all_domains ? NULL : call->account.domain, &call->names);
    if (call->names.count > 1) qsort(call->names.items, call->names.count, sizeof(char *), compare_names);
}

void store_account_get(struct store *store, struct mailbox *reply_to, const char *local, const char *domain,
                       store_account_fn *fn, void *arg)
{
    struct store_call *call = call_new(reply_to, answer_account, local, domain, arg);
    call->run = run_get;
    call->account_fn = fn;
    post(store, call);
}

static void post_write(struct store *store, struct mailbox *reply_to, const struct store_account *account,
                       void (*run)(const struct store_engine *, void *, struct store_call *), store_done_fn *fn,
                       void *arg)
{
    struct store_call *call = call_new(reply_to, answer_done, account->local, account->domain, arg);
    memcpy(call->account.keys, account->keys, sizeof call->account.keys);
    call->run = run;
    call->done_fn = fn;
    post(store, call);
}

void store_account_add(struct store *store, struct mailbox *reply_to, const struct store_account *account,
                       store_done_fn *fn, void *arg)
{
    post_write(store, reply_to, account, run_add, fn, arg);
}

void store_account_set_keys(struct store *store, struct mailbox *reply_to, const struct store_account *account,
                            store_done_fn *fn, void *arg)
{
    post_write(store, reply_to, account, run_set_keys, fn, arg);
}

void store_account_del(struct store *store, struct mailbox *reply_to, const char *local, const char *domain,
                       store_done_fn *fn, void *arg)
{
    struct store_call *call = call_new(reply_to, answer_done, local, domain, arg);
    call->run = run_del;
    call->done_fn = fn;
    post(store, call);
}

void store_account_list(struct store *store, struct mailbox *reply_to, const char *domain, store_names_fn *fn,
                        void *arg)
{
    struct store_call *call = call_new(reply_to, answer_names, "", domain ? domain : "", arg);
    call->run = run_list;
    call->all_domains = domain == NULL;
    call->names_fn = fn;
    post(store, call);
}
