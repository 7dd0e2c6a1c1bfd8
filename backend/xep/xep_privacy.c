/* xep_privacy - XEP-0016: Privacy Lists. */
#include "backend/dispatch.h"
#include "backend/ns.h"
#include "backend/privacy.h"
#include "backend/router.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "backend/stream.h"
#include "backend/user_records.h"
#include "backend/visibility.h"
#include "lib/option.h"

#include <stdlib.h>
#include <string.h>

/* What follows when the store has it: the list there is, or, when it is NULL, the name of what is gone; or the new
 * default (name NULL: none). */
struct privacy_change {
    struct privacy_list *list;
    char *name;
    bool of_default;
};

static void refuse(struct user *user, const struct stanza *request, enum stanza_error error)
{
    stanza_error_answer(user->shard, request, error, NULL);
}

static void done(struct user *user, const struct stanza *request)
{
    router_deliver(user->shard, stanza_reply(request, "result"));
}

/* Section 2.2, rule 9: to all connected resources, with the list's name only. */
static void push(struct user *user, const char *name)
{
    char id[2 * STREAM_ID_BYTES + 1];
    struct elem *iq = elem_new(arena_new(), NS_CLIENT, "iq");
    stream_random_id(id);
    elem_set(iq, "type", "set");
    elem_set(iq, "id", id);
    elem_set(iq, "from", user->bare);
    elem_set(elem_add(elem_add(iq, NS_PRIVACY, "query"), NULL, "list"), "name", name);
    struct stanza *stanza = stanza_new(iq);
    CHECK(stanza);
    LIST_EACH (link, &user->sessions) {
        struct session *session = LIST_ENTRY(link, struct session, link);
        elem_set(iq, "to", session->jid->full);
        session_send(session, stanza);
    }
    stanza_free(&stanza);
}

/* A list that is gone is nobody's active one; others than the sender's have been asked for. */
static void forget_active(struct user *user, const char *name)
{
    LIST_EACH (link, &user->sessions) {
        struct session *session = LIST_ENTRY(link, struct session, link);
        if (!session->active_list || strcmp(session->active_list, name) != 0) continue;
        free(session->active_list);
        session->active_list = NULL;
    }
}

static void apply(struct user *user, struct privacy_change *change)
{
    if (change->of_default) {
        privacy_set_default(user, change->name);
    } else if (change->list) {
        char *name = mem_strdup(change->list->name);
        privacy_put(user, change->list);
        change->list = NULL;
        push(user, name);
        free(name);
    } else {
        const struct privacy *privacy = privacy_of(user);
        const bool was_default = privacy && privacy->default_name && strcmp(privacy->default_name, change->name) == 0;
        forget_active(user, change->name);
        if (was_default) privacy_set_default(user, NULL);
        privacy_drop(user, change->name);
        push(user, change->name);
    }
}

static void on_changed(struct user *user, const struct stanza *request, bool ok, void *arg)
{
    struct privacy_change *change = arg;
    if (ok) {
        struct visibility *before = visibility_note(user);
        apply(user, change);
        done(user, request);
        visibility_settle(user, &before);
    }
    privacy_list_free(&change->list);
    free(change->name);
    free(change);
}

static bool is_active_elsewhere(const struct user *user, const struct stanza *request, const char *name)
{
    LIST_EACH (link, &user->sessions) {
        const struct session *session = LIST_ENTRY(link, struct session, link);
        if (session->active_list && strcmp(session->active_list, name) == 0 && !jid_equal(session->jid, request->from))
            return true;
    }
    return false;
}

static bool default_applies_elsewhere(const struct user *user, const struct stanza *request)
{
    const struct privacy *privacy = privacy_of(user);
    if (!privacy || !privacy->default_name) return false;
    LIST_EACH (link, &user->sessions) {
        const struct session *session = LIST_ENTRY(link, struct session, link);
        if (!session->active_list && !jid_equal(session->jid, request->from)) return true;
    }
    return false;
}

static void set_active(struct user *user, const struct stanza *request, const char *name)
{
    struct session *session = request->from->resource ? session_find(user, request->from->resource) : NULL;
    if (name && !privacy_find(user, name)) {
        refuse(user, request, STANZA_ERROR_ITEM_NOT_FOUND);
        return;
    }
    if (session) {
        struct visibility *before = visibility_note(user);
        free(session->active_list);
        session->active_list = mem_strdup(name);
        visibility_settle(user, &before);
    }
    done(user, request);
}

/* The value of a record: an element with a name. */
static char *named(const char *element, const char *name)
{
    struct buf text = {0};
    buf_printf(&text, "<%s xmlns='" NS_PRIVACY "' name='", element);
    elem_escape(name, strlen(name), &text);
    buf_append_str(&text, "'/>");
    char *value = mem_strndup((const char *)buf_data(&text), buf_len(&text));
    buf_free(&text);
    return value;
}

static void set_default(struct user *user, const struct stanza *request, const char *name)
{
    if (name && !privacy_find(user, name)) {
        refuse(user, request, STANZA_ERROR_ITEM_NOT_FOUND);
        return;
    }
    if (default_applies_elsewhere(user, request)) {
        refuse(user, request, STANZA_ERROR_CONFLICT);
        return;
    }
    struct privacy_change *change = MEM_NEW(struct privacy_change);
    change->of_default = true;
    change->name = mem_strdup(name);
    char *value = name ? named("default", name) : NULL;
    const struct store_record record = {.kind = STORE_PRIVACY, .key = PRIVACY_DEFAULT_KEY, .value = value};
    user_records_change(user, request, &record, 1, on_changed, change);
    free(value);
}

static char *key_of(const char *name)
{
    return mem_asprintf(PRIVACY_LIST_KEY "%s", name);
}

static void remove_list(struct user *user, const struct stanza *request, const char *name)
{
    const struct privacy *privacy = privacy_of(user);
    if (!privacy_find(user, name)) {
        refuse(user, request, STANZA_ERROR_ITEM_NOT_FOUND);
        return;
    }
    const bool is_default = privacy->default_name && strcmp(privacy->default_name, name) == 0;
    if (is_active_elsewhere(user, request, name) || (is_default && default_applies_elsewhere(user, request))) {
        refuse(user, request, STANZA_ERROR_CONFLICT);
        return;
    }
    struct privacy_change *change = MEM_NEW(struct privacy_change);
    change->name = mem_strdup(name);
    char *key = key_of(name);
    const struct store_record records[] = {{.kind = STORE_PRIVACY, .key = key},
                                           {.kind = STORE_PRIVACY, .key = PRIVACY_DEFAULT_KEY}};
    user_records_change(user, request, records, is_default ? 2 : 1, on_changed, change);
    free(key);
}

/* Whether there is room for it, beside the user's other lists. */
static bool fits(const struct user *user, const struct stanza *request, const struct privacy_list *list)
{
    const struct host *host = hosts_find(shard_hosts(user->shard), request->to->domain);
    const struct privacy *privacy = privacy_of(user);
    size_t items = list->count;
    for (size_t i = 0; privacy && i < privacy->count; i++)
        if (strcmp(privacy->lists[i]->name, list->name) != 0) items += privacy->lists[i]->count;
    return host && items <= (size_t)option_int(host->section, "max-privacy-items");
}

static bool groups_exist(const struct user *user, const struct privacy_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].type == PRIVACY_GROUP && !privacy_has_group(user, list->items[i].value)) return false;
    return true;
}

static char *list_text(const struct privacy_list *list)
{
    struct elem *query = elem_new(arena_new(), NS_PRIVACY, "query");
    struct buf text = {0};
    privacy_list_print(list, query);
    elem_print(elem_child(query, NULL, NULL), NS_CLIENT, &text);
    char *value = mem_strndup((const char *)buf_data(&text), buf_len(&text));
    buf_free(&text);
    elem_free(&query);
    return value;
}

static void set_list(struct user *user, const struct stanza *request, const struct elem *elem)
{
    struct privacy_list *list = privacy_list_new(elem);
    if (!list) {
        refuse(user, request, STANZA_ERROR_BAD_REQUEST);
    } else if (!fits(user, request, list)) {
        stanza_error_answer(user->shard, request, STANZA_ERROR_POLICY_VIOLATION, "too many items in privacy lists");
    } else if (!groups_exist(user, list)) {
        refuse(user, request, STANZA_ERROR_ITEM_NOT_FOUND);
    } else {
        struct privacy_change *change = MEM_NEW(struct privacy_change);
        change->list = list;
        char *key = key_of(list->name), *value = list_text(list);
        const struct store_record record = {.kind = STORE_PRIVACY, .key = key, .value = value};
        user_records_change(user, request, &record, 1, on_changed, change);
        free(key);
        free(value);
        return;
    }
    privacy_list_free(&list);
}

static void set(struct user *user, const struct stanza *request, const struct elem *what)
{
    const char *name = elem_get(what, "name");
    if (elem_is(what, NS_PRIVACY, "active")) {
        set_active(user, request, name);
    } else if (elem_is(what, NS_PRIVACY, "default")) {
        set_default(user, request, name);
    } else if (!elem_is(what, NS_PRIVACY, "list") || !name) {
        refuse(user, request, STANZA_ERROR_BAD_REQUEST);
    } else if (elem_child(what, NULL, NULL)) {
        set_list(user, request, what);
    } else {
        remove_list(user, request, name);
    }
}

static void add_name(struct elem *query, const char *element, const char *name)
{
    if (name) elem_set(elem_add(query, NULL, element), "name", name);
}

static void get_names(struct user *user, const struct stanza *request)
{
    const struct privacy *privacy = privacy_of(user);
    const struct session *session = request->from->resource ? session_find(user, request->from->resource) : NULL;
    struct stanza *reply = stanza_reply(request, "result");
    struct elem *query = elem_add(reply->elem, NS_PRIVACY, "query");
    if (session) add_name(query, "active", session->active_list);
    if (privacy) add_name(query, "default", privacy->default_name);
    for (size_t i = 0; privacy && i < privacy->count; i++)
        add_name(query, "list", privacy->lists[i]->name);
    router_deliver(user->shard, reply);
}

static void get(struct user *user, const struct stanza *request, const struct elem *what)
{
    if (!what) {
        get_names(user, request);
        return;
    }
    const struct privacy_list *list = privacy_find(user, elem_get(what, "name"));
    if (!elem_is(what, NS_PRIVACY, "list") || elem_next_element(what)) {
        refuse(user, request, STANZA_ERROR_BAD_REQUEST);
    } else if (!list) {
        refuse(user, request, STANZA_ERROR_ITEM_NOT_FOUND);
    } else {
        struct stanza *reply = stanza_reply(request, "result");
        privacy_list_print(list, elem_add(reply->elem, NS_PRIVACY, "query"));
        router_deliver(user->shard, reply);
    }
}

void xep_privacy_iq(struct shard *shard, const struct stanza *request)
{
    struct user *user = user_find(shard, request->to->bare);
    const struct elem *query = elem_child(request->elem, NS_PRIVACY, "query");
    const struct elem *what = query ? elem_child(query, NULL, NULL) : NULL;
    if (user && query && request->type == STANZA_GET) {
        get(user, request, what);
    } else if (user && what && !elem_next_element(what)) {
        set(user, request, what);
    } else {
        stanza_error_answer(shard, request, STANZA_ERROR_BAD_REQUEST, NULL);
    }
}
