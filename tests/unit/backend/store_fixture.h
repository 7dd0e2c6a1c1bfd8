/* store_fixture - for tests of the store: a folder, a loop with a mailbox, calls that wait for their answer. */
#ifndef POSTERN_TESTS_STORE_FIXTURE_H
#define POSTERN_TESTS_STORE_FIXTURE_H

#include "backend/store.h"
#include "lib/loop.h"
#include "lib/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* For whole groups of tests: main() gives each the name of an engine. */
#define FOR_ENGINE(test, engine)                                                                                       \
    {                                                                                                                  \
#test " " engine, test, fixture_set_up, fixture_tear_down, (char[])                                            \
        {                                                                                                              \
            engine                                                                                                     \
        }                                                                                                              \
    }
#define FOR_EACH_ENGINE(test) FOR_ENGINE(test, "memory"), FOR_ENGINE(test, "sqlite")
#define FOR_SQLITE(test)      cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

static struct loop *loop;
static struct mailbox *mailbox;
static char folder[128];

/* The last answer, and how many there were. */
static struct {
    int count, wanted;
    enum store_status status;
} got;

static inline void answered(enum store_status status)
{
    got.status = status;
    if (++got.count == got.wanted) loop_stop(loop);
}

static inline void on_done(enum store_status status, void *arg)
{
    (void)arg;
    answered(status);
}

/* wait_for - so many answers; the status of the last one. */
static inline enum store_status wait_for(int answers)
{
    got.wanted = answers;
    if (got.count < answers) loop_run(loop);
    assert_int_equal(got.count, answers);
    got.count = 0;
    return got.status;
}

static inline struct store_account make_account(const char *local, const char *domain, uint8_t seed)
{
    static const size_t LENGTHS[STORE_HASHES] = {
        [STORE_HASH_SHA1] = 20, [STORE_HASH_SHA256] = 32, [STORE_HASH_SHA512] = 64};
    struct store_account account = {0};

    snprintf(account.local, sizeof account.local, "%s", local);
    snprintf(account.domain, sizeof account.domain, "%s", domain);
    for (int hash = 0; hash < STORE_HASHES; hash++) {
        struct store_scram_keys *keys = &account.keys[hash];
        keys->iterations = 10000u + seed;
        keys->salt_len = 16;
        keys->key_len = LENGTHS[hash];
        memset(keys->salt, seed + hash, keys->salt_len);
        memset(keys->stored_key, seed + hash + 10, keys->key_len);
        memset(keys->server_key, seed + hash + 20, keys->key_len);
    }
    return account;
}

static inline enum store_status add(struct store *store, const char *local, const char *domain, uint8_t seed)
{
    struct store_account account = make_account(local, domain, seed);
    store_account_add(store, mailbox, &account, on_done, NULL);
    return wait_for(1);
}

static inline enum store_status del(struct store *store, const char *local, const char *domain)
{
    store_account_del(store, mailbox, local, domain, on_done, NULL);
    return wait_for(1);
}

static inline struct store *open_store(const char *engine)
{
    char why[512] = "";
    struct store *store = store_open(engine, folder, why, sizeof why);
    if (!store) print_error("%s\n", why);
    assert_non_null(store);
    return store;
}

static inline int fixture_set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/postern-store-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    loop = loop_new();
    mailbox = mailbox_new(loop);
    memset(&got, 0, sizeof got);
    return 0;
}

static inline int fixture_tear_down(void **state)
{
    char command[192];

    (void)state;
    mailbox_free(&mailbox);
    loop_free(&loop);
    snprintf(command, sizeof command, "rm -rf -- '%s'", folder);
    return system(command);
}

#endif
