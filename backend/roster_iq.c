/* roster_iq - what clients ask about their roster, and change in it: RFC 6121 sections 2.2 to 2.6. */
#include "backend/backend_config.h"
#include "backend/dispatch.h"
#include "backend/ns.h"
#include "backend/roster_change.h"
#include "backend/roster_push.h"
#include "backend/router.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "backend/subscription.h"

#include <stdlib.h>
#include <string.h>

/* The version of a client, when it is one that we have given out and know all changes since; 0: it is not. */
static uint32_t known_version(const struct roster *roster, const char *text)
{
    char *end = NULL;
    const unsigned long version = strtoul(text, &end, 10);
    if (*text < '1' || *text > '9' || *end != '\0' || version > UINT32_MAX || version < roster->removed) return 0;
    bool known = version == roster->removed;
    for (size_t i = 0; i < roster->count && !known; i++)
        known = roster->items[i]->version == version;
    return known ? (uint32_t)version : 0;
}

/* A few pushes are better than the whole. */
static bool is_near(const struct roster *roster, uint32_t version)
{
    size_t listed = 0, newer = 0;
    for (size_t i = 0; i < roster->count; i++) {
        listed += (roster->items[i]->flags & ROSTER_LISTED) != 0;
        newer += roster->items[i]->version > version;
    }
    return newer <= 1 + listed / 4;
}

/* Section 2.6: whether the client, whose version that is, needs no more than pushes, or nothing. */
static bool is_up_to_date(const struct roster *roster, const char *text, uint32_t *version)
{
    const size_t count = roster ? roster->count : 0;
    if (!text) return false;
    if (count == 0 && (!roster || roster->version == 0)) return strcmp(text, "0") == 0;
    *version = known_version(roster, text);
    return *version != 0 && is_near(roster, *version);
}

static struct stanza *whole(const struct stanza *request, const struct roster *roster)
{
    struct stanza *result = stanza_reply(request, "result");
    struct elem *query = elem_add(result->elem, NS_ROSTER, "query");
    roster_push_version(query, roster ? roster->version : 0);
    for (size_t i = 0; roster && i < roster->count; i++)
        if (roster->items[i]->flags & ROSTER_LISTED) roster_item_add(roster->items[i], query);
    return result;
}

/* The client is interested from here on.  It is answered directly, for the pushes must come after the answer. */
static void get(struct user *user, const struct stanza *request, const struct elem *query)
{
    const struct roster *roster = roster_of(user);
    struct session *session = session_find(user, request->from->resource);
    uint32_t version = 0;
    if (!session) return;
    session->interested = true;
    const bool near = is_up_to_date(roster, elem_get(query, "ver"), &version);
    struct stanza *result = near ? stanza_reply(request, "result") : whole(request, roster);
    session_send(session, result);
    stanza_free(&result);
    if (near && version != 0) roster_push_missed(session, version);
}

/* What is wrong with the groups of an item: a stanza error, or -1. */
static int wrong_groups(const struct elem *item, const struct backend_config *config)
{
    int64_t count = 0;
    for (const struct elem *g = elem_child(item, NULL, NULL); g; g = elem_next_element(g)) {
        if (!elem_is(g, NS_ROSTER, "group")) continue;
        size_t len = 0;
        const char *text = elem_text(g, &len);
        if (len == 0 || len > (size_t)config->roster_name_bytes || ++count > config->roster_groups)
            return STANZA_ERROR_NOT_ACCEPTABLE;
        for (const struct elem *h = elem_child(item, NULL, NULL); h != g; h = elem_next_element(h))
            if (elem_is(h, NS_ROSTER, "group") && strcmp(elem_text(h, NULL), text) == 0)
                return STANZA_ERROR_BAD_REQUEST;
    }
    return -1;
}

/* What is wrong with an item to be set: section 2.3.3. */
static int wrong_item(const struct user *user, const struct elem *item, const char *bare)
{
    const struct backend_config *config = shard_config(user->shard);
    const char *name = elem_get(item, "name");
    if (name && strlen(name) > (size_t)config->roster_name_bytes) return STANZA_ERROR_NOT_ACCEPTABLE;
    const bool is_new = !(roster_flags(user, bare) & ROSTER_LISTED);
    if (is_new && (int64_t)roster_count(user, ROSTER_LISTED) >= config->roster_items)
        return STANZA_ERROR_RESOURCE_CONSTRAINT;
    return wrong_groups(item, config);
}

static struct jid *address_of(const struct user *user, const struct elem *item, int *error)
{
    const char *text = elem_get(item, "jid");
    struct jid *jid = text ? jid_parse(text, strlen(text), NULL) : NULL;
    *error = !text                                ? STANZA_ERROR_BAD_REQUEST
             : !jid                               ? STANZA_ERROR_JID_MALFORMED
             : jid->resource                      ? STANZA_ERROR_BAD_REQUEST
             : strcmp(jid->bare, user->bare) == 0 ? STANZA_ERROR_NOT_ALLOWED
                                                  : -1;
    if (*error >= 0) jid_free(&jid);
    return jid;
}

/* A set that is being stored. */
struct set {
    struct stanza *request;
    struct jid *jid;
    uint8_t old; /* the item's flags */
    bool removes;
};

static void on_stored(struct user *user, enum store_status status, void *arg)
{
    struct set *set = arg;
    if (status != STORE_OK) {
        stanza_error_answer(user->shard, set->request, stanza_error_of_store(status), NULL);
    } else {
        roster_push(user, set->jid->bare);
        router_deliver(user->shard, stanza_reply(set->request, "result"));
        if (set->removes) subscription_end(user, set->request->to, set->jid, set->old);
    }
    stanza_free(&set->request);
    jid_free(&set->jid);
    free(set);
}

/* Takes jid. */
static void change(struct user *user, const struct stanza *request, struct roster_item *item, struct jid *jid,
                   uint8_t old)
{
    struct set *set = MEM_NEW(struct set);
    *set = (struct set){stanza_copy(request), jid, old, item->flags == 0};
    roster_change(user, item, NULL, on_stored, set);
}

/* Section 2.3.3 and 2.5.3: one item.  NULL: there is not just one. */
static const struct elem *single_item(const struct elem *query)
{
    const struct elem *item = elem_child(query, NULL, NULL);
    if (!item || elem_next_element(item) || !elem_is(item, NS_ROSTER, "item")) return NULL;
    return item;
}

static int set_item(struct user *user, const struct stanza *request, const struct elem *query)
{
    const struct elem *elem = single_item(query);
    if (!elem) return STANZA_ERROR_BAD_REQUEST;
    if (user->temporary) return STANZA_ERROR_NOT_ALLOWED;
    int error = -1;
    struct jid *jid = address_of(user, elem, &error);
    if (!jid) return error;
    const char *subscription = elem_get(elem, "subscription");
    const bool removes = subscription && strcmp(subscription, "remove") == 0;
    const uint8_t old = roster_flags(user, jid->bare);
    error = !removes ? wrong_item(user, elem, jid->bare) : old & ROSTER_LISTED ? -1 : STANZA_ERROR_ITEM_NOT_FOUND;
    if (error >= 0) {
        jid_free(&jid);
        return error;
    }
    struct roster_item *item = roster_item_new(jid->bare, elem);
    item->flags = removes ? 0 : old | ROSTER_LISTED;
    change(user, request, item, jid, old);
    return -1;
}

void roster_iq(struct shard *shard, const struct stanza *request)
{
    struct user *user = user_find(shard, request->to->bare);
    const struct elem *query = elem_child(request->elem, NULL, NULL);
    int error = -1;
    if (dispatch_scope_of(request) != DISPATCH_SELF || !user) {
        error = STANZA_ERROR_FORBIDDEN; /* whether there is such an account or not */
    } else if (!elem_is(query, NS_ROSTER, "query") || (request->type == STANZA_GET && elem_child(query, NULL, NULL))) {
        error = STANZA_ERROR_BAD_REQUEST;
    } else if (request->type == STANZA_GET) {
        get(user, request, query);
    } else {
        error = set_item(user, request, query);
    }
    if (error >= 0) stanza_error_answer(shard, request, (enum stanza_error)error, NULL);
}
