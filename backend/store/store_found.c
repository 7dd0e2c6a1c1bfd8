#include "backend/store/store_engine.h"

#include "lib/mem.h"

#include <stdio.h>
#include <string.h>

/* An arena does not grow a block: the old one stays behind until the call is over. */
static void *grow(struct arena *arena, void *items, size_t count, size_t *cap, size_t item_bytes)
{
    if (count < *cap) return items;
    *cap = *cap ? *cap * 2 : 8;
    void *grown = arena_alloc(arena, *cap * item_bytes);
    if (count) memcpy(grown, items, count * item_bytes);
    return grown;
}

void store_names_add(struct store_names *names, const char *local, const char *domain)
{
    names->items = grow(names->arena, names->items, names->count, &names->cap, sizeof(char *));
    const size_t cap = strlen(local) + strlen(domain) + sizeof "@";
    char *jid = arena_alloc(names->arena, cap);
    snprintf(jid, cap, "%s@%s", local, domain);
    names->items[names->count++] = jid;
}

static bool same_shape(const struct store_shape *a, const struct store_shape *b)
{
    return memcmp(a->iterations, b->iterations, sizeof a->iterations) == 0 &&
           memcmp(a->salt_len, b->salt_len, sizeof a->salt_len) == 0;
}

void store_shapes_add(struct store_shapes *shapes, const struct store_shape *shape, uint64_t accounts)
{
    for (size_t i = 0; i < shapes->count; i++) {
        if (!same_shape(&shapes->items[i], shape)) continue;
        shapes->items[i].accounts += accounts;
        return;
    }
    shapes->items = grow(shapes->arena, shapes->items, shapes->count, &shapes->cap, sizeof *shapes->items);
    shapes->items[shapes->count] = *shape;
    shapes->items[shapes->count++].accounts = accounts;
}

void store_records_add(struct store_records *records, enum store_kind kind, const char *key, const char *value)
{
    records->items = grow(records->arena, records->items, records->count, &records->cap, sizeof *records->items);
    records->items[records->count++] = (struct store_record){
        .kind = kind, .key = arena_strdup(records->arena, key), .value = arena_strdup(records->arena, value)};
}

void store_entries_add(struct store_entries *entries, uint64_t id, int64_t stamp_ms, const char *text, size_t len)
{
    entries->items = grow(entries->arena, entries->items, entries->count, &entries->cap, sizeof *entries->items);
    entries->items[entries->count++] = (struct store_entry){
        .id = id, .stamp_ms = stamp_ms, .text = arena_strndup(entries->arena, text, len), .len = len};
}

void store_archive_found_add(struct store_archive_found *found, const struct store_archived *entry)
{
    found->items = grow(found->arena, found->items, found->count, &found->cap, sizeof *found->items);
    struct store_archived *added = &found->items[found->count++];
    *added = *entry;
    added->with_bare = arena_strdup(found->arena, entry->with_bare);
    added->with_resource = arena_strdup(found->arena, entry->with_resource);
    added->text = found->brief ? NULL : arena_strndup(found->arena, entry->text, entry->len);
}

void store_remotes_add(struct store_remotes *remotes, const struct store_remote *remote)
{
    remotes->items = grow(remotes->arena, remotes->items, remotes->count, &remotes->cap, sizeof *remotes->items);
    struct store_remote *added = &remotes->items[remotes->count++];
    *added = *remote;
    added->owner = arena_strdup(remotes->arena, remote->owner);
}
