#include "backend/privacy.h"

#include "backend/elem_parse.h"
#include "backend/jid_match.h"
#include "backend/ns.h"
#include "backend/roster.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "lib/log.h"
#include "lib/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    unsigned kind;
} KINDS[] = {
    {"message", PRIVACY_MESSAGE},
    {"iq", PRIVACY_IQ},
    {"presence-in", PRIVACY_PRESENCE_IN},
    {"presence-out", PRIVACY_PRESENCE_OUT},
};

static const char *const TYPES[] = {
    [PRIVACY_JID] = "jid", [PRIVACY_GROUP] = "group", [PRIVACY_SUBSCRIPTION] = "subscription"};

/* The states of RFC 6121 section 2.1.2.5, by ROSTER_TO | ROSTER_FROM. */
static const char *const SUBSCRIPTIONS[] = {"none", "to", "from", "both"};

const struct privacy *privacy_of(const struct user *user)
{
    return user->parts[USER_PART_PRIVACY];
}

const struct privacy_list *privacy_find(const struct user *user, const char *name)
{
    const struct privacy *privacy = privacy_of(user);
    for (size_t i = 0; privacy && name && i < privacy->count; i++)
        if (strcmp(privacy->lists[i]->name, name) == 0) return privacy->lists[i];
    return NULL;
}

const struct privacy_list *privacy_in_force(const struct user *user, const struct session *session)
{
    const struct privacy *privacy = privacy_of(user);
    if (!privacy) return NULL;
    return privacy_find(user, session && session->active_list ? session->active_list : privacy->default_name);
}

/* A non-negative integer. */
static bool read_order(const char *text, uint32_t *order)
{
    if (!text || *text < '0' || *text > '9') return false;
    char *end = NULL;
    const unsigned long long value = strtoull(text, &end, 10);
    *order = (uint32_t)value;
    return *end == '\0' && value <= UINT32_MAX;
}

/* read_value - the item's value by its type, prepared; NULL: not acceptable. */
static char *read_value(enum privacy_type type, const char *text)
{
    if (!text) return NULL;
    if (type == PRIVACY_GROUP) return mem_strdup(text);
    if (type == PRIVACY_SUBSCRIPTION) {
        for (size_t i = 0; i < ARRAY_LEN(SUBSCRIPTIONS); i++)
            if (strcmp(text, SUBSCRIPTIONS[i]) == 0) return mem_strdup(text);
        return NULL;
    }
    struct jid *jid = jid_parse(text, strlen(text), NULL);
    char *value = jid ? mem_strdup(jid->full) : NULL;
    jid_free(&jid);
    return value;
}

static bool read_kinds(const struct elem *elem, uint8_t *kinds)
{
    *kinds = 0;
    for (const struct elem *child = elem_child(elem, NULL, NULL); child; child = elem_next_element(child)) {
        size_t i = 0;
        while (i < ARRAY_LEN(KINDS) && !elem_is(child, NS_PRIVACY, KINDS[i].name))
            i++;
        if (i == ARRAY_LEN(KINDS)) return false;
        *kinds |= (uint8_t)KINDS[i].kind;
    }
    if (*kinds == 0) *kinds = PRIVACY_ALL;
    return true;
}

static bool read_item(const struct elem *elem, struct privacy_item *item)
{
    const char *action = elem_get(elem, "action"), *type = elem_get(elem, "type");
    if (!elem_is(elem, NS_PRIVACY, "item") || !action || !read_order(elem_get(elem, "order"), &item->order))
        return false;
    item->deny = strcmp(action, "deny") == 0;
    if ((!item->deny && strcmp(action, "allow") != 0) || !read_kinds(elem, &item->kinds)) return false;
    if (!type) return true;
    for (size_t i = PRIVACY_JID; i < ARRAY_LEN(TYPES); i++)
        if (strcmp(type, TYPES[i]) == 0) item->type = (uint8_t)i;
    if (item->type == PRIVACY_ANY) return false;
    item->value = read_value((enum privacy_type)item->type, elem_get(elem, "value"));
    return item->value != NULL;
}

static int compare_items(const void *a, const void *b)
{
    const struct privacy_item *one = a, *other = b;
    return one->order < other->order ? -1 : one->order > other->order;
}

/* Ascending, and no order twice. */
static bool sort_items(struct privacy_list *list)
{
    qsort(list->items, list->count, sizeof(list->items[0]), compare_items);
    for (size_t i = 1; i < list->count; i++)
        if (list->items[i - 1].order == list->items[i].order) return false;
    return true;
}

struct privacy_list *privacy_list_new(const struct elem *elem)
{
    const char *name = elem_get(elem, "name");
    size_t count = 0;
    if (!name || strlen(name) > PRIVACY_NAME_MAX_BYTES) return NULL;
    for (const struct elem *item = elem_child(elem, NULL, NULL); item; item = elem_next_element(item))
        count++;
    struct privacy_list *list = mem_alloc(sizeof(*list) + count * sizeof(list->items[0]));
    list->name = mem_strdup(name);
    list->count = count;
    bool right = true;
    size_t at = 0;
    for (const struct elem *item = elem_child(elem, NULL, NULL); item && right; item = elem_next_element(item))
        right = read_item(item, &list->items[at++]);
    if (!right || !sort_items(list)) privacy_list_free(&list);
    return list;
}

void privacy_list_free(struct privacy_list **list)
{
    if (!*list) return;
    for (size_t i = 0; i < (*list)->count; i++)
        free((*list)->items[i].value);
    free((*list)->name);
    free(*list);
    *list = NULL;
}

void privacy_list_print(const struct privacy_list *list, struct elem *query)
{
    struct elem *elem = elem_add(query, NS_PRIVACY, "list");
    elem_set(elem, "name", list->name);
    for (size_t i = 0; i < list->count; i++) {
        const struct privacy_item *item = &list->items[i];
        char order[16];
        snprintf(order, sizeof(order), "%u", (unsigned)item->order);
        struct elem *one = elem_add(elem, NULL, "item");
        elem_set(one, "type", TYPES[item->type]);
        elem_set(one, "value", item->value);
        elem_set(one, "action", item->deny ? "deny" : "allow");
        elem_set(one, "order", order);
        for (size_t kind = 0; kind < ARRAY_LEN(KINDS) && item->kinds != PRIVACY_ALL; kind++)
            if (item->kinds & KINDS[kind].kind) elem_add(one, NULL, KINDS[kind].name);
    }
}

static struct privacy *make(struct user *user)
{
    if (!user->parts[USER_PART_PRIVACY]) user->parts[USER_PART_PRIVACY] = MEM_NEW(struct privacy);
    return user->parts[USER_PART_PRIVACY];
}

/* Who has neither list nor default pays for nothing. */
static void forget_if_empty(struct user *user)
{
    struct privacy *privacy = user->parts[USER_PART_PRIVACY];
    if (privacy->count > 0 || privacy->default_name) return;
    privacy_free(privacy);
    user->parts[USER_PART_PRIVACY] = NULL;
}

static void append(struct privacy *privacy, struct privacy_list *list)
{
    privacy->lists = mem_realloc(privacy->lists, (privacy->count + 1) * sizeof(struct privacy_list *));
    privacy->lists[privacy->count++] = list;
}

void privacy_drop(struct user *user, const char *name)
{
    struct privacy *privacy = make(user);
    for (size_t i = 0; i < privacy->count; i++) {
        if (strcmp(privacy->lists[i]->name, name) != 0) continue;
        privacy_list_free(&privacy->lists[i]);
        privacy->lists[i] = privacy->lists[--privacy->count];
        break;
    }
    forget_if_empty(user);
}

void privacy_put(struct user *user, struct privacy_list *list)
{
    struct privacy *privacy = make(user);
    for (size_t i = 0; i < privacy->count; i++) {
        if (strcmp(privacy->lists[i]->name, list->name) != 0) continue;
        privacy_list_free(&privacy->lists[i]);
        privacy->lists[i] = list;
        return;
    }
    append(privacy, list);
}

void privacy_set_default(struct user *user, const char *name)
{
    struct privacy *privacy = make(user);
    free(privacy->default_name);
    privacy->default_name = mem_strdup(name);
    forget_if_empty(user);
}

static bool read_record(struct user *user, struct privacy *privacy, const struct store_record *record)
{
    struct elem *elem = elem_parse(&user->shard->parser, record->value, strlen(record->value));
    bool right = elem != NULL;
    if (elem && strcmp(record->key, PRIVACY_DEFAULT_KEY) == 0) {
        free(privacy->default_name);
        privacy->default_name = mem_strdup(elem_get(elem, "name"));
    } else if (elem) {
        struct privacy_list *list = privacy_list_new(elem);
        right = list != NULL;
        if (list) append(privacy, list);
    }
    elem_free(&elem);
    return right;
}

void *privacy_load(struct user *user, const struct store_record *records, size_t count)
{
    struct privacy *privacy = MEM_NEW(struct privacy);
    for (size_t i = 0; i < count; i++) {
        if (read_record(user, privacy, &records[i])) continue;
        log_msg(LOG_LEVEL_ERROR, "store_tampered", "privacy lists of %s: %s is not what this program writes",
                user->bare, records[i].key);
    }
    return privacy;
}

void privacy_free(void *part)
{
    struct privacy *privacy = part;
    for (size_t i = 0; i < privacy->count; i++)
        privacy_list_free(&privacy->lists[i]);
    free(privacy->lists);
    free(privacy->default_name);
    free(privacy);
}

static bool in_group(const struct roster_item *item, const char *group)
{
    if (!item) return false;
    const char *text = roster_name(item);
    for (unsigned i = 0; i < item->groups; i++) {
        text += strlen(text) + 1;
        if (strcmp(text, group) == 0) return true;
    }
    return false;
}

bool privacy_has_group(const struct user *user, const char *group)
{
    const struct roster *roster = roster_of(user);
    for (size_t i = 0; roster && i < roster->count; i++)
        if (in_group(roster->items[i], group)) return true;
    return false;
}

static bool item_matches(const struct user *user, const struct privacy_item *item, const struct jid *other)
{
    if (item->type == PRIVACY_ANY) return true;
    if (item->type == PRIVACY_JID) return jid_match(item->value, other);
    const struct roster_item *contact = roster_find(user, other->bare);
    if (item->type == PRIVACY_GROUP) return in_group(contact, item->value);
    return strcmp(item->value, SUBSCRIPTIONS[contact ? contact->flags & (ROSTER_TO | ROSTER_FROM) : 0]) == 0;
}

bool privacy_allows(const struct user *user, const struct privacy_list *list, const struct jid *other, unsigned kind)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct privacy_item *item = &list->items[i];
        if ((item->kinds & kind) && item_matches(user, item, other)) return !item->deny;
    }
    return true;
}
