#include "backend/import_parts.h"

#include "backend/delay.h"
#include "backend/ns.h"
#include "backend/roster.h"
#include "lib/map.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Items by the bare JID: each address has one, whether it is a contact, has asked, or both. */
struct reading {
    struct import_user *user;
    struct map *items;
    int64_t now;
};

/* The address of a contact, or NULL when it is none. */
static struct jid *contact_jid(const struct import_user *user, const char *text)
{
    struct jid *jid = text ? jid_parse(text, strlen(text), NULL) : NULL;
    if (jid && jid_bare_equal(jid, user->jid)) jid_free(&jid);
    return jid;
}

static int flags_of(const struct elem *item)
{
    static const struct {
        const char *name;
        int flags;
    } SUBSCRIPTIONS[] = {{"none", 0}, {"to", ROSTER_TO}, {"from", ROSTER_FROM}, {"both", ROSTER_TO | ROSTER_FROM}};
    const char *subscription = elem_get(item, "subscription"), *ask = elem_get(item, "ask");
    const char *approved = elem_get(item, "approved");
    int flags = subscription ? -1 : 0;
    for (size_t i = 0; subscription && i < ARRAY_LEN(SUBSCRIPTIONS); i++)
        if (strcmp(subscription, SUBSCRIPTIONS[i].name) == 0) flags = SUBSCRIPTIONS[i].flags;
    if (flags < 0) return -1;
    if (ask && strcmp(ask, "subscribe") == 0 && !(flags & ROSTER_TO)) flags |= ROSTER_PENDING_OUT;
    if (approved && (strcmp(approved, "true") == 0 || strcmp(approved, "1") == 0)) flags |= ROSTER_APPROVED;
    return flags | ROSTER_LISTED;
}

static bool has_group(const struct elem *item, const char *group)
{
    for (const struct elem *one = elem_child(item, NULL, NULL); one; one = elem_next_element(one))
        if (strcmp(elem_text(one, NULL), group) == 0) return true;
    return false;
}

/* Name and groups as they may be: no group without a name, none twice. */
static struct elem *clean(const struct elem *item)
{
    struct elem *elem = elem_new(arena_new(), NS_ROSTER, "item");
    unsigned groups = 0;
    elem_set(elem, "name", elem_get(item, "name"));
    for (const struct elem *one = elem_child(item, NULL, NULL); one; one = elem_next_element(one)) {
        const char *group = elem_is(one, NS_ROSTER, "group") ? elem_text(one, NULL) : "";
        if (*group == '\0' || groups == ROSTER_GROUPS_MAX || has_group(elem, group)) continue;
        elem_add_text(elem_add(elem, NULL, "group"), group, strlen(group));
        groups++;
    }
    return elem;
}

static void put(struct reading *r, struct roster_item *item)
{
    free(map_set_str(r->items, roster_jid(item), item));
}

static void read_item(struct reading *r, const struct elem *elem)
{
    const char *text = elem_get(elem, "jid");
    const int flags = flags_of(elem);
    struct jid *jid = contact_jid(r->user, text);
    if (!jid || flags < 0) {
        import_user_note(r->user, "contact %s: %s", text ? text : "without an address",
                         jid ? "there is no such subscription" : "that is no address of somebody else");
    } else {
        struct elem *cleaned = clean(elem);
        struct roster_item *item = roster_item_new(jid->bare, cleaned);
        item->flags = (uint64_t)flags & 0xff;
        item->version = (uint64_t)r->now & ROSTER_VERSION_MAX;
        put(r, item);
        elem_free(&cleaned);
    }
    jid_free(&jid);
}

/* As the server keeps it that has received it. */
static bool keep_request(struct reading *r, const struct elem *presence, const struct jid *from)
{
    struct elem *copy = elem_copy(presence);
    elem_set(copy, "from", from->bare);
    elem_set(copy, "to", r->user->jid->bare);
    const bool kept = import_user_record(r->user, STORE_REQUEST, from->bare, copy);
    elem_free(&copy);
    return kept;
}

static void read_request(struct reading *r, const struct elem *presence)
{
    const char *type = elem_get(presence, "type"), *text = elem_get(presence, "from");
    struct jid *from = contact_jid(r->user, text);
    struct roster_item *item = from ? map_get_str(r->items, from->bare) : NULL;
    if (!from || !type || strcmp(type, "subscribe") != 0) {
        import_user_note(r->user, "a presence that is no subscription request of somebody else");
    } else if (item && (item->flags & (ROSTER_FROM | ROSTER_PENDING_IN))) {
        /* it has been granted, or is there twice */
    } else if (!keep_request(r, presence, from)) {
        import_user_note(r->user, "the subscription request of %s is too large or too deep", text);
    } else {
        if (!item) {
            item = roster_item_new(from->bare, NULL);
            put(r, item);
        }
        item->flags |= ROSTER_PENDING_IN;
        r->user->counts[IMPORT_REQUESTS]++;
    }
    jid_free(&from);
}

static bool keep_item(const void *key, size_t key_len, void *value, void *arg)
{
    struct roster_item *item = value;
    struct reading *r = arg;
    struct buf text = {0};
    (void)key;
    (void)key_len;
    roster_item_print(item, &text);
    buf_append(&text, "", 1);
    (void)import_user_text(r->user, STORE_ROSTER, roster_jid(item), (const char *)buf_data(&text));
    if (item->flags & ROSTER_LISTED) r->user->counts[IMPORT_CONTACTS]++;
    buf_free(&text);
    free(item);
    return true;
}

/* A client that remembers another server's roster, or an older one of ours, gets the whole of this one. */
static void mark_new(struct reading *r)
{
    char text[64];
    snprintf(text, sizeof(text), "<" ROSTER_REMOVED_ELEMENT " " ROSTER_REMOVED_ATTRIBUTE "='%" PRId64 "'/>", r->now);
    (void)import_user_text(r->user, STORE_ROSTER, ROSTER_REMOVED_KEY, text);
}

void import_roster(struct import_user *user, const struct elem *elem)
{
    struct reading r = {.user = user, .items = map_new(), .now = delay_now()};
    for (const struct elem *part = elem_child(elem, NULL, NULL); part; part = elem_next_element(part)) {
        if (!elem_is(part, NS_ROSTER, "query")) continue;
        for (const struct elem *item = elem_child(part, NULL, NULL); item; item = elem_next_element(item))
            if (elem_is(item, NS_ROSTER, "item")) read_item(&r, item);
    }
    for (const struct elem *part = elem_child(elem, NULL, NULL); part; part = elem_next_element(part))
        if (elem_is(part, NS_CLIENT, "presence")) read_request(&r, part);
    map_each(r.items, keep_item, &r);
    map_free(&r.items);
    mark_new(&r);
}
