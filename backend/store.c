#include "backend/store.h"

#include "backend/store/store_call.h"
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

struct store {
    const struct store_engine *engine;
    void *state; /* the engine's; touched by its thread only */
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;
    pthread_cond_t idle;
    struct list calls;
    bool busy; /* a batch is under way */
    bool closing;
};

const char *store_kind_name(enum store_kind kind)
{
    static const char *const NAMES[STORE_KINDS] = {
#define STORE_KIND(id, name, help) [STORE_##id] = (name),
#include "backend/store_kinds.def"
#undef STORE_KIND
    };
    return NAMES[kind];
}

/* In the caller's mailbox. */
static void answer(void *arg)
{
    struct store_call *call = arg;
    struct arena *arena = call->arena;

    call->answer(call);
    arena_free(&arena);
}

/* take_batch - wait for calls, and move up to BATCH_MAX of them.  false: closing, and none is left. */
static bool take_batch(struct store *store, struct list *batch)
{
    pthread_mutex_lock(&store->lock);
    store->busy = false;
    if (list_empty(&store->calls)) pthread_cond_broadcast(&store->idle);
    while (list_empty(&store->calls) && !store->closing)
        pthread_cond_wait(&store->wake, &store->lock);
    for (size_t i = 0; i < BATCH_MAX && !list_empty(&store->calls); i++) {
        struct list *link = list_first(&store->calls);
        list_remove(link);
        list_append(batch, link);
    }
    store->busy = !list_empty(batch);
    pthread_mutex_unlock(&store->lock);
    return store->busy;
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
        mailbox_post(call->reply_to, answer, call);
    }
}

static void *store_thread(void *arg)
{
    struct store *store = arg;
    struct list batch;

    list_init(&batch);
    while (take_batch(store, &batch)) {
        run_batch(store, &batch);
        store->engine->rest(store->state);
    }
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
    pthread_cond_init(&store->idle, NULL);
    int error = pthread_create(&store->thread, NULL, store_thread, store);
    if (error == 0) return store;
    snprintf(why, cap, "no thread for the store: %s", strerror(error));
    engine->close(state);
    free(store);
    return NULL;
}

void store_finish(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    while (store->busy || !list_empty(&store->calls))
        pthread_cond_wait(&store->idle, &store->lock);
    pthread_mutex_unlock(&store->lock);
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
    pthread_cond_destroy(&store->idle);
    pthread_mutex_destroy(&store->lock);
    free(store);
    *store_place = NULL;
}

void *store_call_new(size_t size_bytes, struct mailbox *reply_to, void *arg)
{
    struct arena *arena = arena_new();
    struct store_call *call = arena_alloc(arena, size_bytes);

    call->arena = arena;
    call->reply_to = reply_to;
    call->arg = arg;
    return call;
}

void store_call_post(struct store *store, struct store_call *call)
{
    pthread_mutex_lock(&store->lock);
    CHECK(!store->closing);
    bool was_empty = list_empty(&store->calls);
    list_append(&store->calls, &call->link);
    if (was_empty) pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->lock);
}
