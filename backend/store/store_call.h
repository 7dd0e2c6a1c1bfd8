/* store_call - one call on its way: from the caller to the store's thread, and back into the caller's mailbox. */
#ifndef POSTERN_BACKEND_STORE_STORE_CALL_H
#define POSTERN_BACKEND_STORE_STORE_CALL_H

#include "backend/store.h"
#include "backend/store/store_engine.h"
#include "lib/list.h"
#include "lib/mem.h"

#include <stdatomic.h>
#include <stdbool.h>

/* The first member of a struct with what one operation asks for and finds.  It lives in its own arena. */
struct store_call {
    struct list link;
    struct arena *arena;
    struct mailbox *reply_to;
    enum store_status status;
    bool reads; /* it writes nothing, and run may be called again */
    /* On the store's thread: ask the engine, set the status. */
    void (*run)(const struct store_engine *engine, void *state, struct store_call *call);
    /* Not NULL: after run has said STORE_OK, it is called between batches until it returns false; then the call is
     * answered.  stopping: it shall end now. */
    bool (*step)(const struct store_engine *engine, void *state, struct store_call *call, bool stopping);
    /* On the caller's thread: tell it the answer. */
    void (*answer)(struct store_call *call);
    void *arg; /* the caller's */
};

/* store_call_new - size_bytes for a struct that begins with a store_call, zeroed, with an arena to put more into. */
MUSTCHECK void *store_call_new(size_t size_bytes, struct mailbox *reply_to, void *arg);

/* store_call_post - takes the call; it is answered, then freed. */
void store_call_post(struct store *store, struct store_call *call);

/* store_call_spawn - takes the call; work is called on a thread of its own, then it is answered.  The store waits for
 * it at its end, with *stop set. */
typedef void store_work_fn(const struct store_engine *engine, const char *folder, atomic_bool *stop,
                           struct store_call *call);
void store_call_spawn(struct store *store, store_work_fn *work, struct store_call *call);

/* store_archive_seen - something is archived: tell who watches. */
void store_archive_seen(struct store *store);

#endif
