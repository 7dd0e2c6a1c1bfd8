#include "gateway/explain.h"

#include "gateway/refusal.h"
#include "gateway/rule.h"
#include "gateway/server_name.h"
#include "lib/mem.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAMES_SHOWN = 6, /* of a list */
    BYTES_SHOWN = 16,
};

static const char *const CONDITIONS[] = {
    [ROUTE_ON_TIMEOUT] = "on-timeout",   [ROUTE_INSIDE] = "inside",
    [ROUTE_LISTENER] = "listener",       [ROUTE_SOURCE] = "source",
    [ROUTE_DESTINATION] = "destination", [ROUTE_PROTOCOL] = "protocol",
    [ROUTE_NO_SNI] = "no-sni",           [ROUTE_SNI] = "sni",
    [ROUTE_NO_ALPN] = "no-alpn",         [ROUTE_ALPN] = "alpn",
    [ROUTE_TLS_VERSION] = "tls-version", [ROUTE_ECH] = "ech",
};

static void print_names(FILE *out, const struct names *names)
{
    for (size_t i = 0; i < names->count && i < NAMES_SHOWN; i++)
        fprintf(out, "%s%s", i == 0 ? "" : ", ", names->items[i]);
    if (names->count > NAMES_SHOWN) fprintf(out, " and %zu more", names->count - NAMES_SHOWN);
}

/* The names of those protocols of the rule that have this verdict. */
static void print_protocols(FILE *out, const struct rule *rule, const struct look *look, enum probe_verdict verdict)
{
    const char *comma = "";
    for (size_t i = 0; i < PROBE_MAX && rule->protocols >> i != 0; i++) {
        uint64_t bit = UINT64_C(1) << i;
        if ((rule->protocols & look->asked & bit) == 0 || look->verdicts[i] != verdict) continue;
        fprintf(out, "%s%s", comma, rule_protocol_name(look->patterns, i));
        comma = ", ";
    }
}

static void why_on_timeout(FILE *out, const struct rule *rule, const struct look *look, enum probe_verdict verdict)
{
    (void)look;
    if (verdict == PROBE_MATCH)
        fputs("the client is silent", out);
    else
        fputs(rule->on_timeout ? "the client is not silent" : "the client is silent, which is for on-timeout = true",
              out);
}

static void why_listener(FILE *out, const struct rule *rule, const struct look *look, enum probe_verdict verdict)
{
    fprintf(out, verdict == PROBE_MATCH ? "%s" : "%s is not ", look->query->listener);
    if (verdict != PROBE_MATCH) print_names(out, &rule->listeners);
}

static void why_protocol(FILE *out, const struct rule *rule, const struct look *look, enum probe_verdict verdict)
{
    if (verdict == PROBE_MORE) fputs("could become ", out);
    if (verdict == PROBE_NO) fputs("is not ", out);
    print_protocols(out, rule, look, verdict);
}

static void why_inside(FILE *out, const struct rule *rule, const struct look *look, enum probe_verdict verdict)
{
    const char *inside = look->query->inside;
    if (inside == NULL) {
        fputs("nothing is decrypted; wanted: ", out);
        print_names(out, &rule->inside);
    } else {
        fprintf(out, verdict == PROBE_MATCH ? "decrypted by %s" : "decrypted by %s, and not ", inside);
        if (verdict != PROBE_MATCH && rule->inside.count > 0) print_names(out, &rule->inside);
        if (rule->inside.count == 0) fputs("as it was sent", out);
    }
}

static void print_address(FILE *out, const struct addr *address)
{
    char text[ADDR_TEXT_BYTES];
    fputs(address != NULL ? addr_format(address, ADDR_FULL, text, sizeof(text)) : "unknown", out);
}

static void why_source(FILE *out, const struct rule *rule, const struct look *look, enum probe_verdict verdict)
{
    char text[CIDR_TEXT_BYTES];
    const struct cidr_set *set = &rule->source;
    print_address(out, look->query->source);
    fputs(verdict == PROBE_MATCH ? " is in " : " is not in ", out);
    for (size_t i = 0; i < set->count && i < NAMES_SHOWN; i++)
        fprintf(out, "%s%s", i == 0 ? "" : ", ", cidr_format(&set->items[i], text, sizeof(text)));
    if (set->count > NAMES_SHOWN) fprintf(out, " and %zu more", set->count - NAMES_SHOWN);
}

static void why_destination(FILE *out, const struct rule *rule, const struct look *look, enum probe_verdict verdict)
{
    char text[DESTINATION_TEXT_BYTES];
    const struct destination_list *list = &rule->destination;
    print_address(out, look->query->destination);
    fputs(verdict == PROBE_MATCH ? " is in " : " is not in ", out);
    for (size_t i = 0; i < list->count && i < NAMES_SHOWN; i++)
        fprintf(out, "%s%s", i == 0 ? "" : ", ", destination_format(&list->items[i], text, sizeof(text)));
    if (list->count > NAMES_SHOWN) fprintf(out, " and %zu more", list->count - NAMES_SHOWN);
}

/* What is wanted of sni: the names, then the regular expressions as they stand in the file. */
static void print_wanted_sni(FILE *out, const struct rule *rule, const struct look *look)
{
    print_names(out, &rule->sni);
    for (size_t i = 0; i < rule->sni_regex_count; i++)
        fprintf(out, "%s~%s", i == 0 && rule->sni.count == 0 ? "" : ", ",
                regex_text(pattern_regexes(look->patterns), rule->sni_regexes[i]));
}

static void why_sni(FILE *out, const struct rule *rule, const struct look *look, enum probe_verdict verdict)
{
    const struct clienthello *hello = rule_hello(look);
    if (hello == NULL) {
        fputs("the ClientHello is not complete", out);
        return;
    }
    if (!hello->has_sni)
        fputs("the client sends no name; wanted: ", out);
    else
        fprintf(out, verdict == PROBE_MATCH ? "%s" : "%s is not ", hello->sni);
    if (verdict != PROBE_MATCH) print_wanted_sni(out, rule, look);
}

static void why_no_sni(FILE *out, const struct rule *rule, const struct look *look, enum probe_verdict verdict)
{
    const struct clienthello *hello = rule_hello(look);
    (void)rule, (void)verdict;
    if (hello == NULL)
        fputs("the ClientHello is not complete", out);
    else if (hello->has_sni)
        fprintf(out, "the client asks for %s", hello->sni);
    else
        fputs("the client sends no name", out);
}

static void print_offer(FILE *out, const struct look *look, const struct clienthello *hello)
{
    char offer[4 * CLIENTHELLO_ALPN_MAX_BYTES + 1];
    const char *what = look->query->inside != NULL ? "negotiated" : "offered";
    fprintf(out, "%s: %s", what, hello->alpn_len > 0 ? clienthello_alpn_text(hello, offer, sizeof(offer)) : "nothing");
}

static void why_alpn(FILE *out, const struct rule *rule, const struct look *look, enum probe_verdict verdict)
{
    const struct clienthello *hello = rule_hello(look);
    if (hello == NULL) {
        fputs("the ClientHello is not complete", out);
        return;
    }
    print_offer(out, look, hello);
    if (rule->alpn.count == 0) return;
    fputs(verdict == PROBE_MATCH ? "; one of: " : "; wanted: ", out);
    print_names(out, &rule->alpn);
}

static void print_versions(FILE *out, uint8_t versions)
{
    const char *comma = "";
    for (unsigned i = 0; i < 4; i++) {
        if ((versions & CLIENTHELLO_TLS10 << i) == 0) continue;
        fprintf(out, "%s1.%u", comma, i);
        comma = ", ";
    }
    if (versions == 0) fputs("none that is known", out);
}

static void why_version(FILE *out, const struct rule *rule, const struct look *look, enum probe_verdict verdict)
{
    const struct clienthello *hello = rule_hello(look);
    if (hello == NULL) {
        fputs("the ClientHello is not complete", out);
        return;
    }
    fputs(look->query->inside != NULL ? "negotiated: " : "offered: ", out);
    print_versions(out, hello->versions);
    fputs(verdict == PROBE_MATCH ? "; one of: " : "; wanted: ", out);
    print_versions(out, rule->versions);
}

static void why_ech(FILE *out, const struct rule *rule, const struct look *look, enum probe_verdict verdict)
{
    (void)rule;
    if (rule_hello(look) == NULL)
        fputs("the ClientHello is not complete", out);
    else
        fputs(verdict == PROBE_MATCH ? "offered" : "not offered", out);
}

static void (*const WHYS[])(FILE *out, const struct rule *rule, const struct look *look, enum probe_verdict verdict) = {
    [ROUTE_ON_TIMEOUT] = why_on_timeout,
    [ROUTE_INSIDE] = why_inside,
    [ROUTE_LISTENER] = why_listener,
    [ROUTE_SOURCE] = why_source,
    [ROUTE_DESTINATION] = why_destination,
    [ROUTE_PROTOCOL] = why_protocol,
    [ROUTE_NO_SNI] = why_no_sni,
    [ROUTE_SNI] = why_sni,
    [ROUTE_NO_ALPN] = why_alpn,
    [ROUTE_ALPN] = why_alpn,
    [ROUTE_TLS_VERSION] = why_version,
    [ROUTE_ECH] = why_ech,
};

/* The conditions that the row has behind the last one that was looked at. */
static void print_rest(FILE *out, const struct rule *rule, const struct look *look, enum route_condition last)
{
    const char *before = "    (not looked at: ";
    size_t i = 0;
    while (rule_condition_at(look->query, i) != last)
        i++;
    for (i++; i < ROUTE_CONDITION_COUNT; i++) {
        enum route_condition c = rule_condition_at(look->query, i);
        if (!rule_is_set(rule, c)) continue;
        fprintf(out, "%s%s", before, CONDITIONS[c]);
        before = ", ";
    }
    if (before[0] == ',') fputs(")\n", out);
}

/* A line for each condition that was looked at, and one for those that were not because of it. */
static void trace(void *arg, const struct rule *rule, const struct look *look, enum route_condition condition,
                  enum probe_verdict verdict)
{
    static const char *const HOLDS[] = {[PROBE_NO] = "NO", [PROBE_MORE] = "?", [PROBE_MATCH] = "yes"};
    FILE *out = arg;
    if (condition == ROUTE_ON_TIMEOUT) fprintf(out, "  route \"%s\" (line %d)\n", rule->route.name, rule->route.line);
    if (rule_is_set(rule, condition) || verdict != PROBE_MATCH) {
        fprintf(out, "    %-11s  %-3s  ", CONDITIONS[condition], HOLDS[verdict]);
        WHYS[condition](out, rule, look, verdict);
        fputc('\n', out);
    }
    if (verdict != PROBE_MATCH) print_rest(out, rule, look, condition);
}

/* What the built-in probes make of the bytes. */
static const char *protocol_of(struct sight *sight)
{
    for (size_t i = 0; i < PROBE_COUNT; i++)
        if (PROBES[i].look(sight) == PROBE_MATCH) return PROBES[i].name;
    return NULL;
}

static void print_seen(FILE *out, const struct sight *seen, const char *listener)
{
    struct sight sight = {.data = seen->data, .len = seen->len, .final = true};
    const struct clienthello *hello = &sight.hello;
    char alpn[4 * CLIENTHELLO_ALPN_MAX_BYTES + 1];
    fprintf(out, "Seen on listener \"%s\": ", listener);
    if (sight.len == 0) {
        fputs("nothing until peek-timeout\n\n", out);
        return;
    }
    fprintf(out, "%zu byte%s", sight.len, sight.len == 1 ? "" : "s");
    const char *protocol = protocol_of(&sight);
    if (sight.hello_done) {
        fprintf(out, ", tls\n  sni   %s%s\n", hello->has_sni ? hello->sni : "none",
                hello->has_ech ? " (the outer name: the true one may be encrypted)" : "");
        fprintf(out, "  alpn  %s\n\n", hello->has_alpn ? clienthello_alpn_text(hello, alpn, sizeof(alpn)) : "none");
        return;
    }
    if (sight.hello_partial)
        fputs(", the beginning of a ClientHello", out);
    else
        fprintf(out, ", %s",
                protocol != NULL ? protocol : "not, or not yet, a protocol that the gateway knows by itself");
    fputs("\n  hex  ", out);
    for (size_t i = 0; i < sight.len && i < BYTES_SHOWN; i++)
        fprintf(out, " %02x", sight.data[i]);
    fputs(sight.len > BYTES_SHOWN ? " ...\n\n" : "\n\n", out);
}

static void print_servers(FILE *out, const struct upstream_config *upstream)
{
    for (size_t i = 0; i < upstream->server_count; i++)
        fprintf(out, "%s%s", i == 0 ? " at " : ", ", upstream->servers[i].name);
}

static void print_inlets(FILE *out, const struct handoff_config *backend)
{
    for (size_t i = 0; i < backend->inlet_count; i++)
        fprintf(out, "%s%s", i == 0 ? " at " : ", ", backend->inlets[i].un.sun_path);
    if (backend->fallback != NULL) fprintf(out, "; without it, proxy to upstream \"%s\"", backend->fallback);
}

static void print_action(FILE *out, const struct gateway_config *config, const struct route *route)
{
    fprintf(out, "\nTaken: route \"%s\" (line %d): ", route->name, route->line);
    switch (route->action) {
    case ROUTE_PROXY:
        fprintf(out, "proxy to upstream \"%s\"", route->target);
        print_servers(out, &config->upstreams[gateway_config_upstream(config, route->target)]);
        break;
    case ROUTE_HANDOFF:
        fprintf(out, "hand off to backend \"%s\"", route->target);
        print_inlets(out, &config->backends[gateway_config_backend(config, route->target)]);
        break;
    case ROUTE_TERMINATE:
        fprintf(out, "decrypt by tls \"%s\", then the routes inside it decide", route->target);
        break;
    case ROUTE_REFUSE:
        fprintf(out, "refuse (%s)", route->refusal->name);
        break;
    }
    fputc('\n', out);
}

static enum route_verdict find(struct sight *sight, const struct gateway_config *config,
                               const struct route_query *query, struct route **route, FILE *out)
{
    enum route_verdict verdict = route_trace(config->routes, sight, query, route, trace, out);
    if (sight->pattern_limits > 0) fputs("  A pattern took too many steps, which is no match.\n", out);
    return verdict;
}

int explain_run(const struct explain_request *request, const struct gateway_config *config, FILE *out, char *error,
                size_t cap)
{
    const char *listener = request->listener != NULL ? request->listener : config->listeners[0].name;
    const struct route_query query = {.listener = listener};
    if (option_find(config->file, "listener", listener) == NULL) {
        snprintf(error, cap, "--listener: expected the title of a listener section, not \"%s\"", listener);
        return -1;
    }
    uint8_t *bytes = mem_alloc(config->peek_limit_bytes);
    struct sight sight = {.data = bytes};
    int result = explain_input(request, bytes, config->peek_limit_bytes, &sight.len, error, cap);
    if (result == 0) {
        struct route *route = NULL;
        sight.final = request->silent || sight.len == config->peek_limit_bytes;
        print_seen(out, &sight, listener);
        enum route_verdict verdict = find(&sight, config, &query, &route, out);
        if (verdict == ROUTE_MORE) {
            fputs(
                "\nUndecided: the gateway waits for more.  If the client ends or sends nothing until peek-timeout:\n\n",
                out);
            sight.final = true;
            verdict = find(&sight, config, &query, &route, out);
        }
        if (verdict == ROUTE_FOUND)
            print_action(out, config, route);
        else
            fputs("\nTaken: no route; the connection is closed.\n", out);
        result = verdict == ROUTE_FOUND ? 0 : 1;
    }
    free(bytes);
    return result;
}
