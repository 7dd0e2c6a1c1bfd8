/* xep_disco - XEP-0030: Service Discovery, from the rows of the namespace table; XEP-0115's node, XEP-0050's nodes. */
#include "backend/adhoc.h"
#include "backend/caps.h"
#include "backend/component_def.h"
#include "backend/disco.h"
#include "backend/dispatch.h"
#include "backend/ns.h"
#include "backend/roster.h"
#include "backend/router.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "backend/user.h"

#include <string.h>

static const char *node_of(const struct stanza *request)
{
    return elem_get(elem_child(request->elem, NULL, "query"), "node");
}

/* The query of a result, with the node that was asked about. */
static struct elem *answer_query(struct stanza *reply, const struct stanza *request, const char *ns)
{
    struct elem *query = elem_add(reply->elem, ns, "query");
    elem_set(query, "node", node_of(request));
    return query;
}

static bool fill_host_info(const struct host *host, const struct stanza *request, struct elem *query)
{
    const char *node = node_of(request);
    if (node && !caps_is_node(host, node)) return adhoc_info(host, request->from->bare, node, query);
    disco_host(host, query);
    return true;
}

struct items {
    struct elem *query;
    const char *domain;
};

static void add_component(const struct component_def *def, void *arg)
{
    const struct items *items = arg;
    if (!def->parent || strcmp(def->parent, items->domain) != 0) return;
    elem_set(elem_add(items->query, NULL, "item"), "jid", def->domain);
}

static bool fill_host_items(const struct host *host, const struct stanza *request, struct elem *query)
{
    const char *node = node_of(request);
    struct items items = {query, host->domain};
    if (!node) hosts_each_component(host->hosts, add_component, &items);
    if (node && strcmp(node, NS_COMMANDS) == 0) adhoc_list(host, request->from->bare, query);
    return !node || strcmp(node, NS_COMMANDS) == 0;
}

static bool fill_account_info(const struct user *user, const struct stanza *request, struct elem *query)
{
    if (node_of(request)) return false;
    disco_account(user, dispatch_scope_of(request) == DISPATCH_SELF, query);
    return true;
}

/* Section 4.2: the resources, to those who know of them anyway. */
static bool fill_account_items(const struct user *user, const struct stanza *request, struct elem *query)
{
    if (node_of(request)) return false;
    LIST_EACH (link, &user->sessions) {
        const struct session *session = LIST_ENTRY(link, struct session, link);
        if (session->available) elem_set(elem_add(query, NULL, "item"), "jid", session->jid->full);
    }
    return true;
}

/* Section 8: an account is there for itself, and for who may see its presence. */
static bool may_ask(const struct user *user, const struct stanza *request)
{
    if (dispatch_scope_of(request) == DISPATCH_SELF) return true;
    const struct roster_item *contact = roster_find(user, request->from->bare);
    return contact && (contact->flags & ROSTER_FROM);
}

static void answer(struct shard *shard, const struct stanza *request, const char *ns,
                   bool (*of_host)(const struct host *host, const struct stanza *request, struct elem *query),
                   bool (*of_account)(const struct user *user, const struct stanza *request, struct elem *query))
{
    const struct host *host = hosts_find(shard_hosts(shard), request->to->domain);
    const struct user *user = request->to->local ? user_find(shard, request->to->bare) : NULL;
    if (!host || !elem_child(request->elem, ns, "query")) {
        stanza_error_answer(shard, request, STANZA_ERROR_BAD_REQUEST, NULL);
        return;
    }
    if (request->to->local && (!user || !may_ask(user, request))) {
        stanza_error_answer(shard, request, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
        return;
    }
    struct stanza *reply = stanza_reply(request, "result");
    struct elem *query = answer_query(reply, request, ns);
    if (user ? of_account(user, request, query) : of_host(host, request, query)) {
        router_deliver(shard, reply);
    } else {
        stanza_free(&reply);
        stanza_error_answer(shard, request, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
    }
}

void xep_disco_info_iq(struct shard *shard, const struct stanza *request)
{
    answer(shard, request, NS_DISCO_INFO, fill_host_info, fill_account_info);
}

void xep_disco_items_iq(struct shard *shard, const struct stanza *request)
{
    answer(shard, request, NS_DISCO_ITEMS, fill_host_items, fill_account_items);
}
