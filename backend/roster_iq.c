/* roster_iq - what clients ask about their roster, and change in it: RFC 6121 sections 2.2 to 2.6. */
#include "backend/dispatch.h"
#include "backend/ns.h"
#include "backend/roster_edit.h"
#include "backend/roster_push.h"
#include "backend/router.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"

#include <stdlib.h>
#include <string.h>

/* The version of a client, when it is one that we have given out and know all changes since; 0: it is not. */
static uint64_t known_version(const struct roster *roster, const char *text)
{
    char *end = NULL;
    const uint64_t version = strtoull(text, &end, 10);
    if (*text < '1' || *text > '9' || *end != '\0' || version < roster->removed) return 0;
    bool known = version == roster->removed;
    for (size_t i = 0; i < roster->count && !known; i++)
        known = roster->items[i]->version == version;
    return known ? version : 0;
}

/* A few pushes are better than the whole. */
static bool is_near(const struct roster *roster, uint64_t version)
{
    size_t listed = 0, newer = 0;
    for (size_t i = 0; i < roster->count; i++) {
        listed += (roster->items[i]->flags & ROSTER_LISTED) != 0;
        newer += roster->items[i]->version > version;
    }
    return newer <= 1 + listed / 4;
}

/* Section 2.6: whether the client, whose version that is, needs no more than pushes, or nothing. */
static bool is_up_to_date(const struct roster *roster, const char *text, uint64_t *version)
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
    uint64_t version = 0;
    if (!session) return;
    session->interested = true;
    const bool near = is_up_to_date(roster, elem_get(query, "ver"), &version);
    struct stanza *result = near ? stanza_reply(request, "result") : whole(request, roster);
    session_send(session, result);
    stanza_free(&result);
    if (near && version != 0) roster_push_missed(session, version);
}

static void on_edited(struct user *user, enum store_status status, void *arg)
{
    struct stanza *request = arg;
    if (status == STORE_OK) {
        router_deliver(user->shard, stanza_reply(request, "result"));
    } else {
        stanza_error_answer(user->shard, request, stanza_error_of_store(status), NULL);
    }
    stanza_free(&request);
}

/* Section 2.3.3 and 2.5.3: one item.  NULL: there is not just one. */
static const struct elem *single_item(const struct elem *query)
{
    const struct elem *item = elem_child(query, NULL, NULL);
    if (!item || elem_next_element(item) || !elem_is(item, NS_ROSTER, "item")) return NULL;
    return item;
}

/* A stanza error, or -1.  Other subscriptions than "remove" are not the client's to set (section 2.1.2.5). */
static int set(struct user *user, const struct stanza *request, const struct elem *query)
{
    const struct elem *item = single_item(query);
    if (!item) return STANZA_ERROR_BAD_REQUEST;
    const char *subscription = elem_get(item, "subscription");
    const bool removes = subscription && strcmp(subscription, "remove") == 0;
    struct stanza *kept = stanza_copy(request);
    const int error = roster_edit(user, item, removes ? ROSTER_EDIT_REMOVE : ROSTER_EDIT_KEEP, on_edited, kept);
    if (error >= 0) stanza_free(&kept);
    return error;
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
        error = set(user, request, query);
    }
    if (error >= 0) stanza_error_answer(shard, request, (enum stanza_error)error, NULL);
}
