/* xep_disco - XEP-0030: Service Discovery, from the rows of the namespace table; XEP-0115's node. */
#include "backend/caps.h"
#include "backend/component_def.h"
#include "backend/disco.h"
#include "backend/dispatch.h"
#include "backend/ns.h"
#include "backend/router.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"

static bool refused_query(struct shard *shard, const struct stanza *request)
{
    if (elem_child(request->elem, NULL, "query")) return false;
    stanza_error_answer(shard, request, STANZA_ERROR_BAD_REQUEST, NULL);
    return true;
}

/* The query of a result, with the node that was asked about. */
static struct elem *answer_query(struct stanza *reply, const struct stanza *request, const char *ns)
{
    struct elem *query = elem_add(reply->elem, ns, "query");
    elem_set(query, "node", elem_get(elem_child(request->elem, NULL, "query"), "node"));
    return query;
}

void xep_disco_info_iq(struct shard *shard, const struct stanza *request)
{
    if (refused_query(shard, request)) return;
    const enum dispatch_scope scope = dispatch_scope_of(request);
    const struct host *host = hosts_find(shard_hosts(shard), request->to->domain);
    const char *node = elem_get(elem_child(request->elem, NULL, "query"), "node");
    if (!host || (node && (scope != DISPATCH_HOST || !caps_is_node(host, node)))) {
        stanza_error_answer(shard, request, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
        return;
    }
    struct stanza *reply = stanza_reply(request, "result");
    struct elem *query = answer_query(reply, request, NS_DISCO_INFO);
    if (scope == DISPATCH_HOST) {
        disco_host(host, query);
    } else {
        disco_account(true, query);
    }
    router_deliver(shard, reply);
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

void xep_disco_items_iq(struct shard *shard, const struct stanza *request)
{
    if (refused_query(shard, request)) return;
    if (elem_get(elem_child(request->elem, NULL, "query"), "node")) {
        stanza_error_answer(shard, request, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
        return;
    }
    struct stanza *reply = stanza_reply(request, "result");
    struct items items = {answer_query(reply, request, NS_DISCO_ITEMS), request->to->domain};
    if (dispatch_scope_of(request) == DISPATCH_HOST) hosts_each_component(shard_hosts(shard), add_component, &items);
    router_deliver(shard, reply);
}
