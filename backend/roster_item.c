#include "backend/roster_item.h"

#include "backend/ns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_BYTES = 16 }; /* of 48 bits, with the NUL */

/* Attributes of a record.  That there is a subscription says that the item is listed. */
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

static size_t put_all(char *to, const char *jid, const struct elem *elem, unsigned *groups)
{
    const char *name = elem ? elem_get(elem, "name") : NULL;
    const struct elem *group = elem ? elem_child(elem, NULL, NULL) : NULL;
    size_t at = put(to, put(to, 0, jid), name ? name : "");
    *groups = 0;
    for (; group && *groups < ROSTER_GROUPS_MAX; group = elem_next_element(group)) {
        if (!elem_is(group, elem->ns, "group")) continue;
        at = put(to, at, elem_text(group, NULL));
        ++*groups;
    }
    return at;
}

struct roster_item *roster_item_new(const char *jid, const struct elem *elem)
{
    unsigned groups = 0;
    struct roster_item *item = mem_alloc(sizeof(*item) + put_all(NULL, jid, elem, &groups));
    put_all(item->text, jid, elem, &groups);
    item->groups = (uint8_t)groups;
    return item;
}

static const char *after(const char *text)
{
    return text + strlen(text) + 1;
}

const char *roster_name(const struct roster_item *item)
{
    return after(item->text);
}

struct roster_item *roster_item_copy(const struct roster_item *item, uint8_t flags)
{
    const char *end = after(roster_name(item));
    for (unsigned i = 0; i < item->groups; i++)
        end = after(end);
    const size_t size = sizeof(*item) + (size_t)(end - item->text);
    struct roster_item *copy = mem_alloc(size);
    memcpy(copy, item, size);
    copy->flags = flags;
    return copy;
}

struct roster_item *roster_item_read(const char *jid, const struct elem *elem)
{
    struct roster_item *item = roster_item_new(jid, elem);
    const char *version = elem_get(elem, "v");
    for (size_t i = 0; i < ARRAY_LEN(WORDS); i++) {
        const char *value = elem_get(elem, WORDS[i].attribute);
        if (value && strcmp(value, WORDS[i].value) == 0) item->flags |= WORDS[i].flags;
    }
    if (version) item->version = strtoull(version, NULL, 10) & ROSTER_VERSION_MAX;
    return item;
}

const char *roster_item_subscription(const struct roster_item *item)
{
    static const char *const NAMES[] = {
        [0] = "none", [ROSTER_TO] = "to", [ROSTER_FROM] = "from", [ROSTER_TO | ROSTER_FROM] = "both"};
    return NAMES[item->flags & (ROSTER_TO | ROSTER_FROM)];
}

static void fill(const struct roster_item *item, struct elem *elem)
{
    const char *text = roster_name(item);
    if (*text != '\0') elem_set(elem, "name", text);
    if (item->flags & ROSTER_LISTED) elem_set(elem, "subscription", roster_item_subscription(item));
    if (item->flags & ROSTER_PENDING_OUT) elem_set(elem, "ask", "subscribe");
    if (item->flags & ROSTER_APPROVED) elem_set(elem, "approved", "true");
    for (unsigned i = 0; i < item->groups; i++) {
        text = after(text);
        elem_add_text(elem_add(elem, NULL, "group"), text, strlen(text));
    }
}

void roster_item_add(const struct roster_item *item, struct elem *query)
{
    struct elem *elem = elem_add(query, NULL, "item");
    elem_set(elem, "jid", roster_jid(item));
    fill(item, elem);
}

void roster_item_print(const struct roster_item *item, struct buf *out)
{
    struct elem *elem = elem_new(arena_new(), NS_CLIENT, "item");
    fill(item, elem);
    if (item->flags & ROSTER_PENDING_IN) elem_set(elem, "pending", "in");
    if (item->version != 0) {
        char version[NUMBER_BYTES];
        snprintf(version, sizeof(version), "%llu", (unsigned long long)item->version);
        elem_set(elem, "v", version);
    }
    elem_print(elem, NS_CLIENT, out);
    elem_free(&elem);
}
