#include "backend/store/memory_owner.h"

#include "lib/map.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

struct memory_owner *memory_owner_of(struct map *owners, const char *jid)
{
    struct memory_owner *owner = map_get_str(owners, jid);

    if (owner || strchr(jid, '@')) return owner;
    owner = MEM_NEW(struct memory_owner);
    (void)map_set_str(owners, jid, owner);
    return owner;
}

static void free_record(struct memory_record *record)
{
    free(record->key);
    free(record->value);
}

void memory_owner_free(struct memory_owner *owner)
{
    if (owner->account) mem_wipe(owner->account, sizeof *owner->account);
    free(owner->account);
    for (size_t i = 0; i < owner->record_count; i++)
        free_record(&owner->records[i]);
    for (size_t i = 0; i < owner->entry_count; i++)
        free(owner->entries[i].text);
    memory_archive_free(&owner->archive);
    free(owner->records);
    free(owner->entries);
    free(owner);
}

void memory_owner_get_records(const struct memory_owner *owner, unsigned kinds, const char *key,
                              struct store_records *out)
{
    for (size_t i = 0; i < owner->record_count; i++) {
        const struct memory_record *record = &owner->records[i];
        if (!(kinds & 1u << record->kind)) continue;
        if (!key || strcmp(key, record->key) == 0) store_records_add(out, record->kind, record->key, record->value);
    }
}

/* place_of - where a record is (*found) or would be. */
static size_t place_of(const struct memory_owner *owner, enum store_kind kind, const char *key, bool *found)
{
    size_t low = 0, high = owner->record_count;

    *found = false;
    while (low < high && !*found) {
        const size_t middle = low + (high - low) / 2;
        const struct memory_record *record = &owner->records[middle];
        int order = strcmp(record->key, key);
        if (record->kind != kind) order = record->kind < kind ? -1 : 1;
        *found = order == 0;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return *found ? high : low;
}

static void delete_record(struct memory_owner *owner, size_t place)
{
    free_record(&owner->records[place]);
    owner->record_count--;
    memmove(&owner->records[place], &owner->records[place + 1], (owner->record_count - place) * sizeof *owner->records);
}

static void insert_record(struct memory_owner *owner, size_t place, const struct store_record *change)
{
    if (owner->record_count == owner->record_cap) {
        owner->record_cap = owner->record_cap ? owner->record_cap * 2 : 8;
        owner->records = mem_realloc(owner->records, owner->record_cap * sizeof *owner->records);
    }
    memmove(&owner->records[place + 1], &owner->records[place], (owner->record_count - place) * sizeof *owner->records);
    owner->record_count++;
    owner->records[place] = (struct memory_record){
        .kind = change->kind, .key = mem_strdup(change->key), .value = mem_strdup(change->value)};
}

void memory_owner_change(struct memory_owner *owner, const struct store_record *change)
{
    bool found;
    const size_t place = place_of(owner, change->kind, change->key, &found);

    if (found) delete_record(owner, place);
    if (change->value) insert_record(owner, place, change);
}

void memory_owner_sum(const struct memory_owner *owner, enum store_kind kind, struct store_remote *out)
{
    for (size_t i = 0; i < owner->entry_count; i++) {
        const struct memory_entry *entry = &owner->entries[i];
        if (entry->kind != kind) continue;
        if (out->count == 0 || entry->stamp_ms < out->oldest_ms) out->oldest_ms = entry->stamp_ms;
        out->count++;
        out->bytes += entry->len;
    }
}

void memory_owner_append(struct memory_owner *owner, enum store_kind kind, const struct store_entry *entry)
{
    if (owner->entry_count == owner->entry_cap) {
        owner->entry_cap = owner->entry_cap ? owner->entry_cap * 2 : 8;
        owner->entries = mem_realloc(owner->entries, owner->entry_cap * sizeof *owner->entries);
    }
    owner->entries[owner->entry_count++] = (struct memory_entry){.kind = kind,
                                                                 .id = entry->id,
                                                                 .stamp_ms = entry->stamp_ms,
                                                                 .text = mem_strndup(entry->text, entry->len),
                                                                 .len = entry->len};
}

void memory_owner_get_entries(const struct memory_owner *owner, enum store_kind kind, uint64_t after, size_t max,
                              struct store_entries *out)
{
    for (size_t i = 0; i < owner->entry_count && out->count < max; i++) {
        const struct memory_entry *entry = &owner->entries[i];
        if (entry->kind == kind && entry->id > after)
            store_entries_add(out, entry->id, entry->stamp_ms, entry->text, entry->len);
    }
}

static bool is_named(const uint64_t *ids, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] == id) return true;
    return false;
}

void memory_owner_del_entries(struct memory_owner *owner, enum store_kind kind, const uint64_t *ids, size_t count,
                              uint64_t last)
{
    size_t kept = 0;

    for (size_t i = 0; i < owner->entry_count; i++) {
        struct memory_entry *entry = &owner->entries[i];
        if (entry->kind == kind && (ids ? is_named(ids, count, entry->id) : entry->id <= last))
            free(entry->text);
        else
            owner->entries[kept++] = *entry;
    }
    owner->entry_count = kept;
}
