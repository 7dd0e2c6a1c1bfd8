#include "backend/store/memory_archive.h"

#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

struct memory_archived {
    struct store_archived entry;
    char texts[]; /* to which it points */
};

void memory_archive_free(struct memory_archive *archive)
{
    for (size_t i = 0; i < archive->count; i++)
        free(archive->items[i]);
    free(archive->items);
    *archive = (struct memory_archive){0};
}

static char *put_text(char *place, const char *text, size_t len, const char **copy)
{
    memcpy(place, text, len);
    place[len] = '\0';
    *copy = place;
    return place + len + 1;
}

static struct memory_archived *copy_of(const struct store_archived *entry)
{
    const size_t bare = strlen(entry->with_bare), resource = strlen(entry->with_resource);
    struct memory_archived *item = mem_alloc(sizeof *item + bare + resource + entry->len + 3);
    char *place = item->texts;

    item->entry = *entry;
    place = put_text(place, entry->with_bare, bare, &item->entry.with_bare);
    place = put_text(place, entry->with_resource, resource, &item->entry.with_resource);
    (void)put_text(place, entry->text, entry->len, &item->entry.text);
    return item;
}

/* place_of - of the first entry whose id is not below this one. */
static size_t place_of(const struct memory_archive *archive, uint64_t id)
{
    size_t low = 0, high = archive->count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (archive->items[middle]->entry.id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

enum store_status memory_archive_insert(struct memory_archive *archive, const struct store_archived *entry)
{
    const size_t place = place_of(archive, entry->id);

    if (place < archive->count && archive->items[place]->entry.id == entry->id) return STORE_EXISTS;
    if (archive->count == archive->cap) {
        archive->cap = archive->cap ? archive->cap * 2 : 8;
        archive->items = mem_realloc(archive->items, archive->cap * sizeof(struct memory_archived *));
    }
    memmove(&archive->items[place + 1], &archive->items[place],
            (archive->count - place) * sizeof(struct memory_archived *));
    archive->count++;
    archive->items[place] = copy_of(entry);
    return STORE_OK;
}

uint64_t memory_archive_newest(const struct memory_archive *archive)
{
    return archive->count ? archive->items[archive->count - 1]->entry.id : 0;
}

void memory_archive_look(const struct memory_archive *archive, struct store_archive_scan *scan)
{
    const size_t first = place_of(archive, scan->low);
    size_t end = place_of(archive, scan->high);

    if (end < archive->count && archive->items[end]->entry.id == scan->high) end++;
    for (size_t i = first; i < end; i++) {
        const struct store_archived *entry = &archive->items[scan->backwards ? end - 1 - (i - first) : i]->entry;
        if (!store_archive_scan_see(scan, entry->id, entry->with_bare, entry->with_resource)) return;
    }
    scan->ended = true;
}

enum store_status memory_archive_find(const struct memory_archive *archive, uint64_t id,
                                      struct store_archive_found *out)
{
    const size_t place = place_of(archive, id);

    if (place == archive->count || archive->items[place]->entry.id != id) return STORE_NOT_FOUND;
    store_archive_found_add(out, &archive->items[place]->entry);
    return STORE_OK;
}

void memory_archive_sum(const struct memory_archive *archive, struct store_archive_size *size)
{
    *size = (struct store_archive_size){.entries = archive->count, .last = memory_archive_newest(archive)};
    if (archive->count > 0) size->first = archive->items[0]->entry.id;
    for (size_t i = 0; i < archive->count; i++)
        size->bytes += archive->items[i]->entry.len;
}

void memory_archive_cut(struct memory_archive *archive, const struct store_archive_keep *keep,
                        struct store_archive_purged *purged)
{
    struct store_archive_size size;
    size_t gone = 0;

    memory_archive_sum(archive, &size);
    while (gone < archive->count && !store_archive_may_stay(keep, &size, archive->items[gone]->entry.id)) {
        const size_t len = archive->items[gone]->entry.len;
        free(archive->items[gone++]);
        store_archive_took(&size, purged, len);
    }
    archive->count -= gone;
    if (gone > 0) memmove(archive->items, archive->items + gone, archive->count * sizeof(struct memory_archived *));
    if (archive->count > 0) store_archive_left(purged, archive->items[0]->entry.id);
}
