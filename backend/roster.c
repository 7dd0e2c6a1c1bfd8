#include "backend/roster.h"

#include "backend/elem_parse.h"
#include "backend/ns.h"
#include "backend/shard.h"
#include "lib/log.h"

#include <stdlib.h>
#include <string.h>

enum { ROOM_MORE = 8 }; /* items that a roster grows by, at least */

static void note_version(struct roster *roster, uint64_t version)
{
    if (version > roster->version) roster->version = version;
}

static bool take_record(struct roster *roster, const char *key, const struct elem *elem)
{
    if (elem_is(elem, NS_CLIENT, "item") && *key != '\0') {
        struct roster_item *item = roster_item_read(key, elem);
        roster->items[roster->count++] = item;
        note_version(roster, item->version);
        return true;
    }
    const char *version = elem_get(elem, ROSTER_REMOVED_ATTRIBUTE);
    if (!version || *key != '\0') return false;
    roster->removed = strtoull(version, NULL, 10) & ROSTER_VERSION_MAX;
    note_version(roster, roster->removed);
    return true;
}

static struct roster *roster_resize(struct roster *roster, size_t cap)
{
    roster = mem_realloc(roster, sizeof(*roster) + cap * sizeof(struct roster_item *));
    roster->cap = cap;
    return roster;
}

void *roster_load(struct user *user, const struct store_record *records, size_t count)
{
    struct roster *roster = roster_resize(MEM_NEW(struct roster), count);
    for (size_t i = 0; i < count; i++) {
        struct elem *elem = elem_parse(&user->shard->parser, records[i].value, strlen(records[i].value));
        if (!elem || !take_record(roster, records[i].key, elem)) {
            log_msg(LOG_LEVEL_ERROR, "store_tampered", "roster of %s: the record of %s is not what this program writes",
                    user->bare, records[i].key);
        }
        elem_free(&elem);
    }
    return roster;
}

void roster_free(void *part)
{
    struct roster *roster = part;
    for (size_t i = 0; i < roster->count; i++)
        free(roster->items[i]);
    free(roster);
}

const struct roster *roster_of(const struct user *user)
{
    return user->parts[USER_PART_ROSTER];
}

/* Where the address is, or would be. */
static size_t place(const struct roster *roster, const char *bare, bool *found)
{
    size_t from = 0, to = roster ? roster->count : 0;
    *found = false;
    while (from < to) {
        const size_t middle = from + (to - from) / 2;
        const int order = strcmp(bare, roster_jid(roster->items[middle]));
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    return from;
}

const struct roster_item *roster_find(const struct user *user, const char *bare)
{
    const struct roster *roster = roster_of(user);
    bool found = false;
    const size_t at = place(roster, bare, &found);
    return found ? roster->items[at] : NULL;
}

uint8_t roster_flags(const struct user *user, const char *bare)
{
    const struct roster_item *item = roster_find(user, bare);
    return item ? item->flags : 0;
}

size_t roster_count(const struct user *user, uint8_t flags)
{
    const struct roster *roster = roster_of(user);
    size_t count = 0;
    for (size_t i = 0; roster && i < roster->count; i++)
        count += (roster->items[i]->flags & flags) == flags;
    return count;
}

static struct roster *own(struct user *user)
{
    if (!user->parts[USER_PART_ROSTER]) user->parts[USER_PART_ROSTER] = MEM_NEW(struct roster);
    return user->parts[USER_PART_ROSTER];
}

void roster_put(struct user *user, struct roster_item *item)
{
    struct roster *roster = own(user);
    bool found = false;
    const size_t at = place(roster, roster_jid(item), &found);
    if (found) {
        free(roster->items[at]);
    } else {
        if (roster->count == roster->cap) {
            roster = roster_resize(roster, roster->cap + ROOM_MORE + roster->cap / 4);
            user->parts[USER_PART_ROSTER] = roster;
        }
        memmove(roster->items + at + 1, roster->items + at, (roster->count - at) * sizeof(struct roster_item *));
        roster->count++;
    }
    roster->items[at] = item;
    note_version(roster, item->version);
}

void roster_drop(struct user *user, const char *bare, uint64_t version)
{
    struct roster *roster = own(user);
    bool found = false;
    const size_t at = place(roster, bare, &found);
    if (found) {
        free(roster->items[at]);
        roster->count--;
        memmove(roster->items + at, roster->items + at + 1, (roster->count - at) * sizeof(struct roster_item *));
    }
    if (version == 0) return;
    roster->removed = version;
    note_version(roster, version);
}

void roster_forget(struct user *user)
{
    if (user->parts[USER_PART_ROSTER]) roster_free(user->parts[USER_PART_ROSTER]);
    user->parts[USER_PART_ROSTER] = NULL;
}
