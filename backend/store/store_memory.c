#include "backend/store/store_engine.h"

#include "lib/map.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

/* Forgets everything at its end: for unit tests and for trying things out. */
struct store_memory {
    struct map *accounts; /* "local@domain" -> struct store_account */
};

static void *memory_open(const char *folder, char *why, size_t cap)
{
    struct store_memory *memory = MEM_NEW(struct store_memory);

    (void)folder;
    (void)why;
    (void)cap;
    memory->accounts = map_new();
    return memory;
}

static void account_free(struct store_account *account)
{
    mem_wipe(account, sizeof *account);
    free(account);
}

static bool free_account(const void *key, size_t key_len, void *value, void *arg)
{
    (void)key;
    (void)key_len;
    (void)arg;
    account_free(value);
    return true;
}

static void memory_close(void *engine)
{
    struct store_memory *memory = engine;

    map_each(memory->accounts, free_account, NULL);
    map_free(&memory->accounts);
    free(memory);
}

static enum store_status memory_begin(void *engine)
{
    (void)engine;
    return STORE_OK;
}

static enum store_status memory_commit(void *engine)
{
    (void)engine;
    return STORE_OK;
}

static struct store_account *find(struct store_memory *memory, const char *local, const char *domain)
{
    char *key = mem_asprintf("%s@%s", local, domain);
    struct store_account *account = map_get_str(memory->accounts, key);

    free(key);
    return account;
}

static enum store_status memory_account_get(void *engine, const char *local, const char *domain,
                                            struct store_account *out)
{
    struct store_account *account = find(engine, local, domain);

    if (!account) return STORE_NOT_FOUND;
    *out = *account;
    return STORE_OK;
}

static enum store_status memory_account_add(void *engine, const struct store_account *account)
{
    struct store_memory *memory = engine;

    if (find(memory, account->local, account->domain)) return STORE_EXISTS;
    struct store_account *copy = MEM_NEW(struct store_account);
    *copy = *account;
    char *key = mem_asprintf("%s@%s", account->local, account->domain);
    (void)map_set_str(memory->accounts, key, copy);
    free(key);
    return STORE_OK;
}

static enum store_status memory_account_set_keys(void *engine, const struct store_account *account)
{
    struct store_account *mine = find(engine, account->local, account->domain);

    if (!mine) return STORE_NOT_FOUND;
    memcpy(mine->keys, account->keys, sizeof mine->keys);
    return STORE_OK;
}

static enum store_status memory_account_del(void *engine, const char *local, const char *domain)
{
    struct store_memory *memory = engine;
    char *key = mem_asprintf("%s@%s", local, domain);
    struct store_account *account = map_del_str(memory->accounts, key);

    free(key);
    if (!account) return STORE_NOT_FOUND;
    account_free(account);
    return STORE_OK;
}

struct listing {
    const char *domain;
    struct store_names *names;
};

static bool add_name(const void *key, size_t key_len, void *value, void *arg)
{
    const struct store_account *account = value;
    struct listing *listing = arg;

    (void)key;
    (void)key_len;
    if (!listing->domain || strcmp(listing->domain, account->domain) == 0)
        store_names_add(listing->names, account->local, account->domain);
    return true;
}

static enum store_status memory_account_list(void *engine, const char *domain, struct store_names *out)
{
    struct store_memory *memory = engine;
    struct listing listing = {.domain = domain, .names = out};

    map_each(memory->accounts, add_name, &listing);
    return STORE_OK;
}

const struct store_engine STORE_MEMORY = {
    .name = "memory",
    .open = memory_open,
    .close = memory_close,
    .begin = memory_begin,
    .commit = memory_commit,
    .account_get = memory_account_get,
    .account_add = memory_account_add,
    .account_set_keys = memory_account_set_keys,
    .account_del = memory_account_del,
    .account_list = memory_account_list,
};
