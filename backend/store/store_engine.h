/* store_engine - what a storage engine offers to the generic store.
 *
 * An engine is one file and one row of the table in store.c.  All its functions run on the store's own thread, but for
 * open, which runs before that thread is started, so an engine needs no lock. */
#ifndef POSTERN_BACKEND_STORE_STORE_ENGINE_H
#define POSTERN_BACKEND_STORE_STORE_ENGINE_H

#include "backend/store.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>

/* A growing list of bare JIDs; zeroed is empty. */
struct store_names {
    char **items;
    size_t count, cap;
};

/* store_names_add - append local@domain. */
void store_names_add(struct store_names *names, const char *local, const char *domain);

struct store_engine {
    const char *name;
    /* The engine's state for a folder, or NULL and a message in why. */
    void *(*open)(const char *folder, char *why, size_t cap);
    void (*close)(void *engine);

    /* A batch: begin, any number of operations, then commit; a write counts when commit has returned STORE_OK, and none
     * of the batch does otherwise.  An operation that does not return STORE_OK has changed nothing, and leaves the
     * batch as it was, or makes commit fail. */
    enum store_status (*begin)(void *engine);
    enum store_status (*commit)(void *engine);

    enum store_status (*account_get)(void *engine, const char *local, const char *domain, struct store_account *out);
    enum store_status (*account_add)(void *engine, const struct store_account *account);
    enum store_status (*account_set_keys)(void *engine, const struct store_account *account);
    enum store_status (*account_del)(void *engine, const char *local, const char *domain);
    /* In any order; domain NULL: of all. */
    enum store_status (*account_list)(void *engine, const char *domain, struct store_names *out);
};

extern const struct store_engine STORE_SQLITE;
extern const struct store_engine STORE_MEMORY;

#endif
