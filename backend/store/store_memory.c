#include "backend/store/store_engine.h"

#include "backend/store/memory_owner.h"
#include "lib/map.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

/* Forgets everything at its end: for unit tests and for trying things out. */
struct store_memory {
    struct map *owners; /* by "local@domain" or "domain" -> struct memory_owner */
    uint64_t last_id;
};

static void *memory_open(const char *folder, char *why, size_t cap)
{
    struct store_memory *memory = MEM_NEW(struct store_memory);

    (void)folder;
    (void)why;
    (void)cap;
    memory->owners = map_new();
    return memory;
}

static bool free_owner(const void *key, size_t key_len, void *value, void *arg)
{
    (void)key;
    (void)key_len;
    (void)arg;
    memory_owner_free(value);
    return true;
}

static void memory_close(void *engine)
{
    struct store_memory *memory = engine;

    map_each(memory->owners, free_owner, NULL);
    map_free(&memory->owners);
    free(memory);
}

/* Every operation looks first and changes then, and nothing can fail between: a batch needs no way back. */
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

static void memory_rest(void *engine)
{
    (void)engine;
}

static bool memory_tidy(void *engine)
{
    (void)engine;
    return false;
}

/* Whoever calls it asks first for what may be refused: nothing fails behind a change. */
static enum store_status memory_as_one(void *engine, enum store_status (*fn)(void *engine, void *arg), void *arg)
{
    return fn(engine, arg);
}

static struct store_account *find(struct store_memory *memory, const char *local, const char *domain)
{
    char *jid = mem_asprintf("%s@%s", local, domain);
    struct memory_owner *owner = map_get_str(memory->owners, jid);

    free(jid);
    return owner ? owner->account : NULL;
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
    struct memory_owner *owner = MEM_NEW(struct memory_owner);
    owner->account = MEM_NEW(struct store_account);
    *owner->account = *account;
    char *jid = mem_asprintf("%s@%s", account->local, account->domain);
    (void)map_set_str(memory->owners, jid, owner);
    free(jid);
    return STORE_OK;
}

static enum store_status memory_account_set_keys(void *engine, const struct store_account *account)
{
    struct store_account *mine = find(engine, account->local, account->domain);

    if (!mine) return STORE_NOT_FOUND;
    memcpy(mine->keys, account->keys, sizeof mine->keys);
    return STORE_OK;
}

static enum store_status memory_account_set_disabled(void *engine, const char *local, const char *domain, bool disabled)
{
    struct store_account *mine = find(engine, local, domain);

    if (!mine) return STORE_NOT_FOUND;
    mine->disabled = disabled;
    return STORE_OK;
}

static enum store_status memory_account_del(void *engine, const char *local, const char *domain)
{
    struct store_memory *memory = engine;
    char *jid = mem_asprintf("%s@%s", local, domain);
    struct memory_owner *owner = map_del_str(memory->owners, jid);

    free(jid);
    if (!owner) return STORE_NOT_FOUND;
    memory_owner_free(owner);
    return STORE_OK;
}

struct listing {
    const char *domain;
    bool disabled;
    struct store_names *names;
};

static bool add_name(const void *key, size_t key_len, void *value, void *arg)
{
    const struct memory_owner *owner = value;
    const struct store_account *account = owner->account;
    struct listing *listing = arg;

    (void)key;
    (void)key_len;
    if (account && (!listing->disabled || account->disabled) &&
        (!listing->domain || strcmp(listing->domain, account->domain) == 0))
        store_names_add(listing->names, account->local, account->domain);
    return true;
}

static enum store_status memory_account_list(void *engine, const char *domain, bool disabled, struct store_names *out)
{
    struct store_memory *memory = engine;
    struct listing listing = {.domain = domain, .disabled = disabled, .names = out};

    map_each(memory->owners, add_name, &listing);
    return STORE_OK;
}

struct shaping {
    const char *domain;
    struct store_shapes *shapes;
};

static bool add_shape(const void *key, size_t key_len, void *value, void *arg)
{
    const struct memory_owner *owner = value;
    const struct store_account *account = owner->account;
    struct shaping *shaping = arg;
    struct store_shape shape = {0};
    bool any = false;

    (void)key;
    (void)key_len;
    if (!account || strcmp(shaping->domain, account->domain) != 0) return true;
    for (int hash = 0; hash < STORE_HASHES; hash++) {
        if (account->keys[hash].key_len == 0) continue;
        any = true;
        shape.iterations[hash] = account->keys[hash].iterations;
        shape.salt_len[hash] = account->keys[hash].salt_len;
    }
    if (any) store_shapes_add(shaping->shapes, &shape, 1);
    return true;
}

static enum store_status memory_account_shapes(void *engine, const char *domain, struct store_shapes *out)
{
    struct store_memory *memory = engine;
    struct shaping shaping = {.domain = domain, .shapes = out};

    map_each(memory->owners, add_shape, &shaping);
    return STORE_OK;
}

static struct memory_owner *owner_of(void *engine, const char *jid)
{
    struct store_memory *memory = engine;
    return memory_owner_of(memory->owners, jid);
}

static enum store_status memory_records_get(void *engine, const char *owner, unsigned kinds, const char *key,
                                            struct store_records *out)
{
    const struct memory_owner *mine = owner_of(engine, owner);

    if (!mine) return STORE_NOT_FOUND;
    memory_owner_get_records(mine, kinds, key, out);
    struct store_remote sum = {0};
    if (kinds & 1U << STORE_OFFLINE) memory_owner_sum(mine, STORE_OFFLINE, &sum);
    if (sum.count > 0) store_records_add(out, STORE_OFFLINE, "", "");
    return STORE_OK;
}

static enum store_status memory_records_change(void *engine, const char *owner, const struct store_record *changes,
                                               size_t count)
{
    struct memory_owner *mine = owner_of(engine, owner);

    if (!mine) return STORE_NOT_FOUND;
    for (size_t i = 0; i < count; i++)
        memory_owner_change(mine, &changes[i]);
    return STORE_OK;
}

static enum store_status memory_queue_add(void *engine, const char *owner, enum store_kind kind,
                                          const struct store_limit *limit, struct store_entry *entry)
{
    struct store_memory *memory = engine;
    struct memory_owner *mine = owner_of(engine, owner);
    struct store_remote sum = {0};

    if (!mine) return STORE_NOT_FOUND;
    memory_owner_sum(mine, kind, &sum);
    if (!store_limit_allows(limit, sum.count, sum.bytes, entry->len)) return STORE_LIMIT;
    entry->id = ++memory->last_id;
    memory_owner_append(mine, kind, entry);
    return STORE_OK;
}

static enum store_status memory_queue_get(void *engine, const char *owner, enum store_kind kind, uint64_t after,
                                          size_t max, struct store_entries *out)
{
    const struct memory_owner *mine = owner_of(engine, owner);

    if (!mine) return STORE_NOT_FOUND;
    memory_owner_get_entries(mine, kind, after, max, out);
    return STORE_OK;
}

static enum store_status memory_queue_del(void *engine, const char *owner, enum store_kind kind, const uint64_t *ids,
                                          size_t count, uint64_t last)
{
    struct memory_owner *mine = owner_of(engine, owner);

    if (!mine) return STORE_NOT_FOUND;
    memory_owner_del_entries(mine, kind, ids, count, last);
    return STORE_OK;
}

static bool add_remote(const void *key, size_t key_len, void *value, void *arg)
{
    char *name = mem_strndup(key, key_len);
    struct store_remote remote = {.owner = name};

    memory_owner_sum(value, STORE_REMOTE, &remote);
    if (remote.count > 0) store_remotes_add(arg, &remote);
    free(name);
    return true;
}

static enum store_status memory_remote_list(void *engine, struct store_remotes *out)
{
    const struct store_memory *memory = engine;

    map_each(memory->owners, add_remote, out);
    return STORE_OK;
}

/* archive_of - NULL: no such account. */
static struct memory_archive *archive_of(void *engine, const char *jid)
{
    const struct store_memory *memory = engine;
    struct memory_owner *owner = map_get_str(memory->owners, jid);

    return owner && owner->account ? &owner->archive : NULL;
}

static enum store_status memory_archive_add(void *engine, const char *owner, const struct store_archived *entry)
{
    struct memory_archive *archive = archive_of(engine, owner);

    if (!archive) return STORE_NOT_FOUND;
    return entry->id > memory_archive_newest(archive) ? memory_archive_insert(archive, entry) : STORE_EXISTS;
}

static enum store_status memory_archive_last(void *engine, const char *owner, uint64_t *id)
{
    const struct memory_archive *archive = archive_of(engine, owner);

    if (!archive) return STORE_NOT_FOUND;
    *id = memory_archive_newest(archive);
    return STORE_OK;
}

static enum store_status memory_archive_scan(void *engine, const char *owner, struct store_archive_scan *scan)
{
    const struct memory_archive *archive = archive_of(engine, owner);

    if (!archive) return STORE_NOT_FOUND;
    memory_archive_look(archive, scan);
    return STORE_OK;
}

static enum store_status memory_archive_fetch(void *engine, const char *owner, uint64_t id,
                                              struct store_archive_found *out)
{
    const struct memory_archive *archive = archive_of(engine, owner);
    return archive ? memory_archive_find(archive, id, out) : STORE_NOT_FOUND;
}

static enum store_status memory_archive_size(void *engine, const char *owner, struct store_archive_size *size)
{
    const struct memory_archive *archive = archive_of(engine, owner);

    if (!archive) return STORE_NOT_FOUND;
    memory_archive_sum(archive, size);
    return STORE_OK;
}

static enum store_status memory_archive_purge(void *engine, const char *owner, const struct store_archive_keep *keep,
                                              struct store_archive_purged *purged, bool *more)
{
    struct memory_archive *archive = archive_of(engine, owner);

    *more = false;
    if (!archive) return STORE_NOT_FOUND;
    memory_archive_cut(archive, keep, purged);
    return STORE_OK;
}

/* What is in memory is never wrong. */
static enum store_status memory_check(const char *folder, struct store_check *check)
{
    (void)folder;
    (void)check;
    return STORE_OK;
}

const struct store_engine STORE_MEMORY = {
    .name = "memory",
    .open = memory_open,
    .close = memory_close,
    .begin = memory_begin,
    .commit = memory_commit,
    .rest = memory_rest,
    .tidy = memory_tidy,
    .as_one = memory_as_one,
    .account_get = memory_account_get,
    .account_add = memory_account_add,
    .account_set_keys = memory_account_set_keys,
    .account_set_disabled = memory_account_set_disabled,
    .account_del = memory_account_del,
    .account_shapes = memory_account_shapes,
    .account_list = memory_account_list,
    .records_get = memory_records_get,
    .records_change = memory_records_change,
    .queue_add = memory_queue_add,
    .queue_get = memory_queue_get,
    .queue_del = memory_queue_del,
    .remote_list = memory_remote_list,
    .archive_add = memory_archive_add,
    .archive_last = memory_archive_last,
    .archive_scan = memory_archive_scan,
    .archive_fetch = memory_archive_fetch,
    .archive_size = memory_archive_size,
    .archive_purge = memory_archive_purge,
    .check = memory_check,
};
