/* xep_disco - XEP-0030: Service Discovery, from the rows of the namespace table. */
#include "backend/dispatch.h"
#include "backend/ns.h"
#include "backend/router.h"
#include "backend/stanza_error.h"

static void add_feature(const char *ns, void *arg)
{
    elem_set(elem_add(arg, NULL, "feature"), "var", ns);
}

/* A query for a node, of which there are none: XEP-0030 section 7. */
static bool refused_node(struct shard *shard, const struct stanza *request)
{
    if (!elem_get(elem_child(request->elem, NULL, "query"), "node")) return false;
    stanza_error_answer(shard, request, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
    return true;
}

static bool refused_query(struct shard *shard, const struct stanza *request)
{
    if (elem_child(request->elem, NULL, "query")) return refused_node(shard, request);
    stanza_error_answer(shard, request, STANZA_ERROR_BAD_REQUEST, NULL);
    return true;
}

void xep_disco_info_iq(struct shard *shard, const struct stanza *request)
{
    if (refused_query(shard, request)) return;
    const enum dispatch_scope scope = dispatch_scope_of(request);
    struct stanza *reply = stanza_reply(request, "result");
    struct elem *query = elem_add(reply->elem, NS_DISCO_INFO, "query");
    struct elem *identity = elem_add(query, NULL, "identity");
    elem_set(identity, "category", scope == DISPATCH_HOST ? "server" : "account");
    elem_set(identity, "type", scope == DISPATCH_HOST ? "im" : "registered");
    if (scope == DISPATCH_HOST) elem_set(identity, "name", "Postern");
    dispatch_each_feature(scope, add_feature, query);
    router_deliver(shard, reply);
}

void xep_disco_items_iq(struct shard *shard, const struct stanza *request)
{
    if (refused_query(shard, request)) return;
    struct stanza *reply = stanza_reply(request, "result");
    elem_add(reply->elem, NS_DISCO_ITEMS, "query");
    router_deliver(shard, reply);
}
