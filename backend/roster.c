#include "backend/roster.h"

#include "backend/elem_parse.h"
#include "backend/ns.h"
#include "backend/shard.h"
#include "lib/log.h"

#include <stdlib.h>
#include <string.h>

/* How a contact lies in the store: key is the bare JID, the value an item as clients see it, with one more attribute
 * for what they do not see. */
static const struct {
    const char *attribute, *value;
    uint8_t flags;
} WORDS[] = {
    {"subscription", "none", ROSTER_LISTED},
    {"subscription", "to", ROSTER_LISTED | ROSTER_TO},
    {"subscription", "from", ROSTER_LISTED | ROSTER_FROM},
    {"subscription", "both", ROSTER_LISTED | ROSTER_TO | ROSTER_FROM},
    {"ask", "subscribe", ROSTER_PENDING_OUT},
    {"approved", "true", ROSTER_APPROVED},
    {"pending", "in", ROSTER_PENDING_IN},
};

static size_t put(char *to, size_t at, const char *text)
{
    const size_t len = strlen(text) + 1;
    if (to) memcpy(to + at, text, len);
    return at + len;
}

static size_t put_all(char *to, const char *jid, const struct elem *item, uint16_t *groups)
{
    const char *name = elem_get(item, "name");
    size_t at = put(to, put(to, 0, jid), name ? name : "");
    *groups = 0;
    for (const struct elem *group = elem_child(item, NULL, "group"); group; group = elem_next_element(group)) {
        if (!elem_is(group, NULL, "group") || *groups == UINT16_MAX) continue;
        at = put(to, at, elem_text(group, NULL));
        ++*groups;
    }
    return at;
}

static struct roster_item *item_new(const char *jid, const struct elem *elem)
{
    uint16_t groups = 0;
    struct roster_item *item = mem_alloc(sizeof(*item) + put_all(NULL, jid, elem, &groups));
    put_all(item->text, jid, elem, &item->groups);
    for (size_t i = 0; i < ARRAY_LEN(WORDS); i++) {
        const char *value = elem_get(elem, WORDS[i].attribute);
        if (value && strcmp(value, WORDS[i].value) == 0) item->flags |= WORDS[i].flags;
    }
    return item;
}

void *roster_load(struct user *user, const struct store_record *records, size_t count)
{
    struct roster *roster = mem_alloc(sizeof(*roster) + count * sizeof(struct roster_item *));
    roster->cap = count;
    for (size_t i = 0; i < count; i++) {
        struct elem *elem = elem_parse(&user->shard->parser, records[i].value, strlen(records[i].value));
        if (elem) {
            roster->items[roster->count++] = item_new(records[i].key, elem);
        } else {
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

const struct roster_item *roster_find(const struct user *user, const char *bare)
{
    const struct roster *roster = roster_of(user);
    size_t from = 0, to = roster ? roster->count : 0;
    while (from < to) {
        const size_t middle = from + (to - from) / 2;
        const int order = strcmp(bare, roster_jid(roster->items[middle]));
        if (order == 0) return roster->items[middle];
        if (order < 0) {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    return NULL;
}

const char *roster_name(const struct roster_item *item)
{
    return item->text + strlen(item->text) + 1;
}
