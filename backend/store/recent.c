#include "backend/store/recent.h"

#include "lib/map.h"
#include "lib/mem.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

/* Before the texts of a record, each of which has a NUL behind it; all numbers are little-endian. */
struct head {
    uint64_t owner, id, stamp_ms;
    uint32_t bare, resource, text; /* bytes */
    uint32_t cut;
};

enum { CHUNK_BYTES = 4096 };

void recent_begin(struct recent *recent)
{
    recent->owners = map_new();
    list_init(&recent->dirty);
    list_init(&recent->chunks);
    recent->loaded = true;
}

static void free_owner(struct recent_owner *owner)
{
    free(owner->items);
    free(owner);
}

static bool free_each(const void *key, size_t key_len, void *value, void *arg)
{
    (void)key;
    (void)key_len;
    (void)arg;
    free_owner(value);
    return true;
}

void recent_forget(struct recent *recent)
{
    if (!recent->loaded) return;
    map_each(recent->owners, free_each, NULL);
    map_free(&recent->owners);
    LIST_EACH (link, &recent->chunks)
        recent_chunk_free(recent, LIST_ENTRY(link, struct recent_chunk, link));
    *recent = (struct recent){0};
}

struct recent_owner *recent_owner_find(const struct recent *recent, int64_t number)
{
    return map_get(recent->owners, &number, sizeof number);
}

struct recent_owner *recent_owner_new(struct recent *recent, int64_t number, uint64_t last)
{
    struct recent_owner *owner = MEM_NEW(struct recent_owner);

    owner->number = number;
    owner->last = last;
    (void)map_set(recent->owners, &number, sizeof number, owner);
    return owner;
}

void recent_owner_drop(struct recent *recent, struct recent_owner *owner)
{
    (void)map_del(recent->owners, &owner->number, sizeof owner->number);
    list_remove(&owner->dirty);
    free_owner(owner);
}

/* read_text - one of a record's texts; NULL: it does not end where it should. */
static const char *read_text(const char **place, size_t len)
{
    const char *text = *place;

    *place += len + 1;
    return memchr(text, '\0', len + 1) == text + len ? text : NULL;
}

int recent_read(const char *data, size_t len, size_t offset, struct recent_record *out)
{
    struct head head;

    if (offset == len) return 0;
    if (offset > len || len - offset < sizeof head) return -1;
    memcpy(&head, data + offset, sizeof head);
    const uint64_t bare = le32toh(head.bare), resource = le32toh(head.resource), text = le32toh(head.text);
    if (bare + resource + text + 3 > len - offset - sizeof head) return -1;
    const char *place = data + offset + sizeof head;
    out->owner = (int64_t)le64toh(head.owner);
    out->cut = le32toh(head.cut) != 0;
    out->entry.id = le64toh(head.id);
    out->entry.stamp_ms = (int64_t)le64toh(head.stamp_ms);
    out->entry.with_bare = read_text(&place, bare);
    out->entry.with_resource = read_text(&place, resource);
    out->entry.text = read_text(&place, text);
    out->entry.len = text;
    out->end = (size_t)(place - data);
    return out->entry.with_bare && out->entry.with_resource && out->entry.text ? 1 : -1;
}

void recent_entry_read(const struct recent_entry *entry, struct recent_record *out)
{
    CHECK(recent_read(entry->chunk->data, entry->chunk->len, entry->offset, out) == 1);
}

struct recent_chunk *recent_chunk_new(struct recent *recent, int64_t seq, size_t len)
{
    struct recent_chunk *chunk = MEM_NEW(struct recent_chunk);

    chunk->seq = seq;
    chunk->order = ++recent->last_order;
    chunk->cap = len;
    chunk->data = mem_realloc(NULL, len);
    list_append(&recent->chunks, &chunk->link);
    return chunk;
}

void recent_chunk_free(struct recent *recent, struct recent_chunk *chunk)
{
    recent->bytes -= chunk->len;
    list_remove(&chunk->link);
    free(chunk->data);
    free(chunk);
}

static void put_text(struct recent_chunk *chunk, const char *text, size_t len)
{
    memcpy(chunk->data + chunk->len, text, len);
    chunk->data[chunk->len + len] = '\0';
    chunk->len += len + 1;
}

/* put - a record into this batch's chunk; returns where it is. */
static size_t put(struct recent *recent, int64_t owner, bool cut, const struct store_archived *entry)
{
    const size_t bare = strlen(entry->with_bare), resource = strlen(entry->with_resource);
    const size_t len = sizeof(struct head) + bare + resource + entry->len + 3;
    const struct head head = {.owner = htole64((uint64_t)owner),
                              .id = htole64(entry->id),
                              .stamp_ms = htole64((uint64_t)entry->stamp_ms),
                              .bare = htole32((uint32_t)bare),
                              .resource = htole32((uint32_t)resource),
                              .text = htole32((uint32_t)entry->len),
                              .cut = htole32(cut)};

    if (!recent->open) recent->open = recent_chunk_new(recent, 0, CHUNK_BYTES);
    struct recent_chunk *chunk = recent->open;
    while (chunk->cap - chunk->len < len) {
        chunk->cap *= 2;
        chunk->data = mem_realloc(chunk->data, chunk->cap);
    }
    const size_t offset = chunk->len;
    memcpy(chunk->data + offset, &head, sizeof head);
    chunk->len += sizeof head;
    put_text(chunk, entry->with_bare, bare);
    put_text(chunk, entry->with_resource, resource);
    put_text(chunk, entry->text, entry->len);
    recent->bytes += len;
    return offset;
}

void recent_note(struct recent *recent, struct recent_owner *owner, uint64_t id, struct recent_chunk *chunk,
                 size_t offset)
{
    if (owner->count == owner->cap) {
        owner->cap = owner->cap ? owner->cap * 2 : 4;
        owner->items = mem_realloc(owner->items, owner->cap * sizeof *owner->items);
    }
    owner->items[owner->count] = (struct recent_entry){.id = id, .chunk = chunk, .offset = offset};
    if (owner->count++ == 0) list_append(&recent->dirty, &owner->dirty);
    owner->last = id;
}

void recent_add(struct recent *recent, struct recent_owner *owner, const struct store_archived *entry)
{
    const size_t offset = put(recent, owner->number, false, entry);

    recent->added++;
    recent_note(recent, owner, entry->id, recent->open, offset);
}

/* place_of - of the first entry whose id is not below this one. */
static size_t place_of(const struct recent_owner *owner, uint64_t id)
{
    size_t low = 0, high = owner->count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (owner->items[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool has(const struct recent_owner *owner, size_t place, uint64_t id)
{
    return place < owner->count && owner->items[place].id == id;
}

/* enlist - where its oldest chunk puts it, after those of the same. */
static void enlist(struct recent *recent, struct recent_owner *owner)
{
    struct list *before = recent->dirty.next;

    while (before != &recent->dirty &&
           LIST_ENTRY(before, struct recent_owner, dirty)->items[0].chunk->order <= owner->items[0].chunk->order)
        before = before->next;
    list_append(before, &owner->dirty);
}

void recent_take(struct recent *recent, struct recent_owner *owner, size_t count)
{
    if (count == 0) return;
    owner->count -= count;
    list_remove(&owner->dirty);
    if (owner->count > 0) {
        memmove(owner->items, owner->items + count, owner->count * sizeof *owner->items);
        enlist(recent, owner);
        return;
    }
    free(owner->items);
    owner->items = NULL;
    owner->cap = 0;
}

void recent_take_to(struct recent *recent, struct recent_owner *owner, uint64_t id)
{
    const size_t place = place_of(owner, id);
    recent_take(recent, owner, has(owner, place, id) ? place + 1 : place);
}

void recent_cut(struct recent *recent, struct recent_owner *owner, uint64_t id)
{
    const struct store_archived entry = {.id = id, .with_bare = "", .with_resource = "", .text = ""};

    (void)put(recent, owner->number, true, &entry);
    recent_take_to(recent, owner, id);
}

struct recent_owner *recent_oldest(const struct recent *recent)
{
    return list_empty(&recent->dirty) ? NULL : LIST_ENTRY(recent->dirty.next, struct recent_owner, dirty);
}

struct recent_chunk *recent_chunk_done(const struct recent *recent)
{
    const struct recent_owner *owner = recent_oldest(recent);
    struct list *first = list_first(&recent->chunks);
    struct recent_chunk *chunk = first ? LIST_ENTRY(first, struct recent_chunk, link) : NULL;

    if (!chunk || chunk->seq == 0 || (owner && owner->items[0].chunk == chunk)) return NULL;
    return chunk;
}

void recent_scan(const struct recent_owner *owner, struct store_archive_scan *scan)
{
    const size_t first = place_of(owner, scan->low);
    size_t end = place_of(owner, scan->high);
    const bool backwards = scan->backwards;

    if (has(owner, end, scan->high)) end++;
    for (size_t i = first; i < end; i++) {
        struct recent_record record;
        const struct recent_entry *item = &owner->items[backwards ? end - 1 - (i - first) : i];
        recent_entry_read(item, &record);
        if (!store_archive_scan_see(scan, item->id, record.entry.with_bare, record.entry.with_resource)) return;
    }
    scan->ended = true;
}

bool recent_find(const struct recent_owner *owner, uint64_t id, struct store_archived *out)
{
    const size_t place = place_of(owner, id);
    struct recent_record record;

    if (!has(owner, place, id)) return false;
    recent_entry_read(&owner->items[place], &record);
    *out = record.entry;
    return true;
}
