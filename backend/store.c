#include "backend/store.h"

#include "backend/store/store_call.h"
#include "backend/store/store_engine.h"
#include "lib/list.h"
#include "lib/mem.h"

#include <pthread.h>
#include <stdatomic.h>
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
    bool busy;        /* a batch is under way */
    struct list slow; /* calls with steps left; the store thread's own */
    bool untidy;      /* the engine has something to clear away; the store thread's own */
    bool closing;
    char *folder;
    atomic_bool watched; /* whether archive_watch is to be called */
    struct mailbox *watcher;
    mailbox_fn *archive_watch;
    void *watch_arg;
    atomic_bool stop;      /* what was spawned shall end */
    size_t spawned;        /* guarded by lock */
    pthread_cond_t joined; /* spawned is 0 */
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

enum store_kind store_kind_find(const char *name)
{
    int kind = 0;

    while (kind < STORE_KINDS && strcmp(store_kind_name((enum store_kind)kind), name) != 0)
        kind++;
    return (enum store_kind)kind;
}

/* In the caller's mailbox. */
static void answer(void *arg)
{
    struct store_call *call = arg;
    struct arena *arena = call->arena;

    call->answer(call);
    arena_free(&arena);
}

/* take_batch - wait for calls, unless something slow is under way, and move up to BATCH_MAX of them.  false: closing,
 * and none is left. */
static bool take_batch(struct store *store, struct list *batch)
{
    pthread_mutex_lock(&store->lock);
    store->busy = false;
    if (list_empty(&store->calls)) pthread_cond_broadcast(&store->idle);
    while (list_empty(&store->calls) && list_empty(&store->slow) && !store->untidy && !store->closing)
        pthread_cond_wait(&store->wake, &store->lock);
    for (size_t i = 0; i < BATCH_MAX && !list_empty(&store->calls); i++) {
        struct list *link = list_first(&store->calls);
        list_remove(link);
        list_append(batch, link);
    }
    store->busy = !list_empty(batch);
    const bool more = store->busy || !store->closing;
    pthread_mutex_unlock(&store->lock);
    return more;
}

/* What was read may have rested on a write of the same batch, whose commit has failed: the reads are made again. Nobody
 * fails to log in because others' messages find no room. */
static void read_again(struct store *store, struct list *batch, enum store_status failed)
{
    const struct store_engine *engine = store->engine;
    const enum store_status begun = engine->begin(store->state);

    LIST_EACH (link, batch) {
        struct store_call *call = LIST_ENTRY(link, struct store_call, link);
        call->status = failed;
        if (call->reads && begun == STORE_OK) call->run(engine, store->state, call);
    }
    const enum store_status over = begun == STORE_OK ? engine->commit(store->state) : begun;
    LIST_EACH (link, batch) {
        struct store_call *call = LIST_ENTRY(link, struct store_call, link);
        if (call->reads && over != STORE_OK) call->status = over;
    }
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
    const enum store_status committed = begun == STORE_OK ? engine->commit(store->state) : begun;
    if (committed != STORE_OK) read_again(store, batch, committed);
    LIST_EACH (link, batch) {
        struct store_call *call = LIST_ENTRY(link, struct store_call, link);
        list_remove(&call->link);
        if (call->step && call->status == STORE_OK)
            list_append(&store->slow, &call->link);
        else
            mailbox_post(call->reply_to, answer, call);
    }
}

/* step_slow - a step of the one whose turn it is: however many there are, writes wait for one of them. */
static void step_slow(struct store *store, bool stopping)
{
    struct list *link = list_first(&store->slow);
    if (!link) return;
    struct store_call *call = LIST_ENTRY(link, struct store_call, link);
    list_remove(link);
    if (call->step(store->engine, store->state, call, stopping))
        list_append(&store->slow, link);
    else
        mailbox_post(call->reply_to, answer, call);
}

static void *store_thread(void *arg)
{
    struct store *store = arg;
    struct list batch;

    list_init(&batch);
    store->untidy = store->engine->tidy(store->state);
    while (take_batch(store, &batch)) {
        if (!list_empty(&batch)) {
            run_batch(store, &batch);
            store->engine->rest(store->state);
        }
        step_slow(store, false);
        store->untidy = store->engine->tidy(store->state);
    }
    while (!list_empty(&store->slow))
        step_slow(store, true);
    return NULL;
}

static const struct store_engine *find_engine(const char *name, char *why, size_t cap)
{
    for (size_t i = 0; i < ARRAY_LEN(ENGINES); i++)
        if (strcmp(ENGINES[i]->name, name) == 0) return ENGINES[i];
    snprintf(why, cap, "no storage engine is called \"%s\"", name);
    return NULL;
}

int store_restore(const char *engine_name, const char *folder, int fd, char *kept, char *why, size_t cap)
{
    const struct store_engine *engine = find_engine(engine_name, why, cap);

    if (!engine) return -1;
    if (engine->restore) return engine->restore(folder, fd, kept, why, cap);
    snprintf(why, cap, "the storage engine \"%s\" takes no copies", engine_name);
    return -1;
}

struct store *store_open(const char *engine_name, const char *folder, char *why, size_t cap)
{
    const struct store_engine *engine = find_engine(engine_name, why, cap);

    if (!engine) return NULL;
    void *state = engine->open(folder, why, cap);
    if (!state) return NULL;
    struct store *store = MEM_NEW(struct store);
    store->engine = engine;
    store->state = state;
    list_init(&store->calls);
    list_init(&store->slow);
    store->folder = mem_strdup(folder);
    pthread_mutex_init(&store->lock, NULL);
    pthread_cond_init(&store->wake, NULL);
    pthread_cond_init(&store->idle, NULL);
    pthread_cond_init(&store->joined, NULL);
    int error = pthread_create(&store->thread, NULL, store_thread, store);
    if (error == 0) return store;
    snprintf(why, cap, "no thread for the store: %s", strerror(error));
    engine->close(state);
    free(store->folder);
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
    atomic_store(&store->stop, true);
    pthread_cond_signal(&store->wake);
    while (store->spawned)
        pthread_cond_wait(&store->joined, &store->lock);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->thread, NULL);
    store->engine->close(store->state);
    pthread_cond_destroy(&store->wake);
    pthread_cond_destroy(&store->idle);
    pthread_cond_destroy(&store->joined);
    pthread_mutex_destroy(&store->lock);
    free(store->folder);
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

void store_archive_watch(struct store *store, struct mailbox *reply_to, mailbox_fn *fn, void *arg)
{
    store->watcher = reply_to;
    store->archive_watch = fn;
    store->watch_arg = arg;
    atomic_store(&store->watched, true);
}

void store_archive_seen(struct store *store)
{
    if (atomic_load_explicit(&store->watched, memory_order_relaxed) && atomic_exchange(&store->watched, false))
        mailbox_post(store->watcher, store->archive_watch, store->watch_arg);
}

struct spawned {
    struct store *store;
    store_work_fn *work;
    struct store_call *call;
};

static void *spawned_thread(void *arg)
{
    struct spawned spawned = *(struct spawned *)arg;
    struct store *store = spawned.store;

    free(arg);
    spawned.work(store->engine, store->folder, &store->stop, spawned.call);
    mailbox_post(spawned.call->reply_to, answer, spawned.call);
    pthread_mutex_lock(&store->lock);
    if (--store->spawned == 0) pthread_cond_signal(&store->joined);
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

void store_call_spawn(struct store *store, store_work_fn *work, struct store_call *call)
{
    struct spawned *spawned = MEM_NEW(struct spawned);
    pthread_t thread;

    *spawned = (struct spawned){store, work, call};
    pthread_mutex_lock(&store->lock);
    CHECK(!store->closing);
    const bool busy = store->spawned > 0;
    const bool started = !busy && pthread_create(&thread, NULL, spawned_thread, spawned) == 0;
    if (started) {
        store->spawned++;
        (void)pthread_detach(thread);
    }
    pthread_mutex_unlock(&store->lock);
    if (started) return;
    call->status = busy ? STORE_EXISTS : STORE_FAILED;
    mailbox_post(call->reply_to, answer, call);
    free(spawned);
}
