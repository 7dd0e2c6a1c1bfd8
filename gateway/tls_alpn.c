#include "gateway/tls_alpn.h"

#include "gateway/clienthello.h"
#include "gateway/rule.h"
#include "lib/mem.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct tls_alpn {
    const char *title;
    struct pattern_set *patterns;
    size_t count;
    const struct rule **rules; /* those inside that serve, in file order */
};

/* The ALPN names of protocols, the better first. */
static const struct {
    const char *protocol, *name;
} NAMES[] = {
    {"http2", "h2"},
    {"http", "http/1.1"},
    {"xmpp", "xmpp-client"},
    {"xmpp", "xmpp-server"},
};

struct tls_alpn *tls_alpn_new(struct route_table *routes, const char *title)
{
    struct tls_alpn *alpn = MEM_NEW(struct tls_alpn);
    alpn->title = title;
    alpn->patterns = route_patterns(routes);
    alpn->rules = mem_alloc((route_count(routes) + 1) * sizeof(struct rule *));
    for (size_t i = 0; i < route_count(routes); i++) {
        const struct rule *rule = CONTAINER_OF(route_at(routes, i), struct rule, route);
        bool serves = rule->route.action != ROUTE_REFUSE && !rule->on_timeout;
        if (serves && rule_is_inside(rule, title)) alpn->rules[alpn->count++] = rule;
    }
    return alpn;
}

void tls_alpn_free(struct tls_alpn **alpn)
{
    if (*alpn == NULL) return;
    free((*alpn)->rules);
    free(*alpn);
    *alpn = NULL;
}

/* The name in the offer, with its length ahead, or NULL. */
static const uint8_t *find_offered(const struct tls_alpn_client *client, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < client->offer_len && client->offer[i] < client->offer_len - i; i += client->offer[i] + 1u)
        if (client->offer[i] == len && memcmp(client->offer + i + 1, name, len) == 0) return client->offer + i;
    return NULL;
}

/* Whether the row would take a connection for which this name (with its length ahead; NULL: none) was agreed on. */
static bool takes(const struct tls_alpn *alpn, const struct rule *rule, const struct tls_alpn_client *client,
                  const uint8_t *name)
{
    struct clienthello negotiated;
    struct sight sight = {0};
    clienthello_negotiated(&negotiated, client->sni, name != NULL ? name + 1 : NULL, name != NULL ? name[0] : 0,
                           client->version);
    const struct route_query query = {.inside = alpn->title, .negotiated = &negotiated};
    const struct look look = {.sight = &sight, .query = &query, .patterns = alpn->patterns};
    return rule_told_holds(rule, &look);
}

/* The first name of the row that is offered and that it takes, or NULL. */
static const uint8_t *name_of(const struct tls_alpn *alpn, const struct rule *rule,
                              const struct tls_alpn_client *client)
{
    size_t count = rule->alpn.count > 0 ? rule->alpn.count : ARRAY_LEN(NAMES);
    for (size_t i = 0; i < count; i++) {
        const char *name = rule->alpn.count > 0 ? rule->alpn.items[i] : NAMES[i].name;
        if (rule->alpn.count == 0 && (rule->protocols & UINT64_C(1) << probe_find(NAMES[i].protocol)) == 0) continue;
        const uint8_t *offered = find_offered(client, name);
        if (offered != NULL && takes(alpn, rule, client, offered)) return offered;
    }
    return NULL;
}

/* Whether the row may serve a client without a name: what it speaks has none, or may be anything. */
static bool serves_nameless(const struct rule *rule)
{
    uint64_t named = 0;
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++)
        named |= UINT64_C(1) << probe_find(NAMES[i].protocol);
    return rule->alpn.count == 0 && !rule->no_alpn && (rule->protocols == 0 || (rule->protocols & ~named) != 0);
}

enum tls_alpn_verdict tls_alpn_choose(const struct tls_alpn *alpn, const struct tls_alpn_client *client,
                                      const uint8_t **out, uint8_t *out_len)
{
    bool nameless = alpn->count == 0;
    for (size_t i = 0; i < alpn->count; i++) {
        const struct rule *rule = alpn->rules[i];
        if (client->query != NULL && !rule_place_holds(rule, client->query)) continue;
        const uint8_t *name = name_of(alpn, rule, client);
        if (name != NULL) {
            *out = name + 1;
            *out_len = name[0];
            return TLS_ALPN_CHOSEN;
        }
        if (!serves_nameless(rule) || !takes(alpn, rule, client, NULL)) continue;
        nameless = true;
        if (rule->protocols == 0) break; /* it takes all that comes: later rows are for others */
    }
    return nameless ? TLS_ALPN_WITHOUT : TLS_ALPN_NOTHING;
}
