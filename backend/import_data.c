#include "backend/import_parts.h"

#include "backend/ns.h"
#include "backend/privacy.h"

#include <stdlib.h>
#include <string.h>

/* Source: XEP-0227 section 4.6. */
void import_private(struct import_user *user, const struct elem *part)
{
    for (const struct elem *one = elem_child(part, NULL, NULL); one; one = elem_next_element(one)) {
        if (!one->first && !one->attrs) continue; /* which says as much as none */
        char *key = mem_asprintf("{%s}%s", one->ns, one->name);
        const bool named = *one->ns != '\0' && strcmp(one->ns, NS_PRIVATE) != 0;
        if (named && import_user_record(user, STORE_PRIVATE, key, one)) {
            user->counts[IMPORT_PRIVATE]++;
        } else {
            import_user_note(user, "private data %s: %s", key,
                             named ? "it is too large or too deep" : "it has no namespace of its own");
        }
        free(key);
    }
}

/* Source: XEP-0227 section 4.7. */
void import_vcard(struct import_user *user, const struct elem *part)
{
    if (!part->first) return;
    if (import_user_record(user, STORE_VCARD, "", part)) {
        user->counts[IMPORT_VCARDS]++;
    } else {
        import_user_note(user, "the vCard is too large or too deep");
    }
}

static void block(struct import_user *user, const char *jid)
{
    struct elem *item = elem_new(arena_new(), NS_BLOCKING, "item");
    elem_set(item, "jid", jid);
    if (import_user_record(user, STORE_BLOCKED, jid, item)) user->counts[IMPORT_BLOCKED]++;
    elem_free(&item);
}

/* The list as clients are given it (XEP-0191): XEP-0227 names none, servers that keep one write it so. */
void import_blocklist(struct import_user *user, const struct elem *part)
{
    for (const struct elem *one = elem_child(part, NULL, NULL); one; one = elem_next_element(one)) {
        const char *text = elem_is(one, NS_BLOCKING, "item") ? elem_get(one, "jid") : NULL;
        struct jid *jid = text ? jid_parse(text, strlen(text), NULL) : NULL;
        if (jid) {
            block(user, jid->full);
        } else {
            import_user_note(user, "blocked address %s: that is none", text ? text : "");
        }
        jid_free(&jid);
    }
}

/* ejabberd keeps what is blocked in a list of that name, which is the default: only denials of addresses. */
static bool is_blocklist(const struct privacy_list *list)
{
    if (strcmp(list->name, "Blocked contacts") != 0) return false;
    for (size_t i = 0; i < list->count; i++) {
        const struct privacy_item *item = &list->items[i];
        if (item->type != PRIVACY_JID || !item->deny || item->kinds != PRIVACY_ALL) return false;
    }
    return true;
}

/* Returns whether it was one: nothing of it is a privacy list then. */
static bool take_blocklist(struct import_user *user, const struct elem *elem)
{
    struct privacy_list *list = privacy_list_new(elem);
    const bool taken = list && is_blocklist(list);
    for (size_t i = 0; taken && i < list->count; i++)
        block(user, list->items[i].value);
    privacy_list_free(&list);
    return taken;
}

static void keep_list(struct import_user *user, const struct elem *elem)
{
    struct privacy_list *list = privacy_list_new(elem);
    if (!list || list->count == 0) {
        const char *name = elem_get(elem, "name");
        import_user_note(user, "privacy list %s: it is not as XEP-0016 says", name ? name : "without a name");
    } else {
        struct elem *query = elem_new(arena_new(), NS_PRIVACY, "query");
        char *key = mem_asprintf(PRIVACY_LIST_KEY "%s", list->name);
        privacy_list_print(list, query);
        if (import_user_record(user, STORE_PRIVACY, key, query->first)) user->counts[IMPORT_PRIVACY_LISTS]++;
        free(key);
        elem_free(&query);
    }
    privacy_list_free(&list);
}

static bool has_list(const struct import_user *user, const char *name)
{
    const size_t prefix = strlen(PRIVACY_LIST_KEY);
    for (size_t i = 0; i < user->record_count; i++)
        if (user->records[i].kind == STORE_PRIVACY && strcmp(user->records[i].key + prefix, name) == 0) return true;
    return false;
}

/* Source: XEP-0227 section 4.8. */
void import_privacy(struct import_user *user, const struct elem *part)
{
    const struct elem *set = elem_child(part, NS_PRIVACY, "default");
    const char *name = set ? elem_get(set, "name") : NULL;
    for (const struct elem *one = elem_child(part, NULL, NULL); one; one = elem_next_element(one)) {
        const char *own = elem_is(one, NS_PRIVACY, "list") ? elem_get(one, "name") : NULL;
        if (own && name && strcmp(own, name) == 0 && take_blocklist(user, one)) {
            name = NULL;
        } else if (elem_is(one, NS_PRIVACY, "list")) {
            keep_list(user, one);
        }
    }
    if (!name) return;
    struct elem *record = elem_new(arena_new(), NS_PRIVACY, "default");
    elem_set(record, "name", name);
    if (!has_list(user, name) || !import_user_record(user, STORE_PRIVACY, PRIVACY_DEFAULT_KEY, record))
        import_user_note(user, "the default privacy list %s is not there", name);
    elem_free(&record);
}

/* Of an export of ours: when the user was last here (XEP-0012). */
void import_last(struct import_user *user, const struct elem *part)
{
    const char *at = elem_get(part, "at");
    if (!at || strspn(at, "0123456789") != strlen(at) || !import_user_record(user, STORE_LAST, "", part))
        import_user_note(user, "when it was last used cannot be read");
}
