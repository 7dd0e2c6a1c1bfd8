#include "gateway/explain.h"

#include "gateway/explain_why.h"
#include "gateway/refusal.h"
#include "gateway/rule.h"

#include <stdlib.h>

enum {
    ROWS_SHOWN = 20, /* of those that do not hold */
    BYTES_SHOWN = 16,
};

/* What was learnt of the rows while they were looked at: those that do not hold are many, perhaps. */
struct account {
    FILE *out;
    FILE *row; /* the text of the row that is being looked at */
    char *text;
    size_t text_len;
    size_t shown;                         /* rows that did not hold, in full */
    size_t passed[ROUTE_CONDITION_COUNT]; /* further ones, by the condition that did not hold */
    const struct rule *first_passed, *last_passed;
};

static void print_passed(struct account *account)
{
    const struct rule *first = account->first_passed, *last = account->last_passed;
    if (first == NULL) return;
    fprintf(account->out, "  ... routes \"%s\" (line %d) to \"%s\" (line %d) do not hold: ", first->route.name,
            first->route.line, last->route.name, last->route.line);
    const char *comma = "";
    for (size_t c = 0; c < ROUTE_CONDITION_COUNT; c++) {
        if (account->passed[c] == 0) continue;
        fprintf(account->out, "%s%zu by %s", comma, account->passed[c], explain_why_name((enum route_condition)c));
        account->passed[c] = 0;
        comma = ", ";
    }
    fputc('\n', account->out);
    account->first_passed = NULL;
}

/* A row that does not hold is told in full if it is one of the first. */
static void end_row(struct account *account, const struct rule *rule, enum route_condition condition,
                    enum probe_verdict verdict)
{
    fclose(account->row);
    account->row = NULL;
    if (verdict != PROBE_NO || account->shown < ROWS_SHOWN) {
        print_passed(account);
        fputs(account->text, account->out);
        account->shown++;
    } else {
        if (account->first_passed == NULL) account->first_passed = rule;
        account->last_passed = rule;
        account->passed[condition]++;
    }
    free(account->text);
    account->text = NULL;
}

static void trace(void *arg, const struct rule *rule, const struct look *look, enum route_condition condition,
                  enum probe_verdict verdict)
{
    struct account *account = arg;
    if (condition == rule_condition_at(look->query, 0)) {
        account->row = open_memstream(&account->text, &account->text_len);
        CHECK(account->row != NULL);
        fprintf(account->row, "  route \"%s\" (line %d)\n", rule->route.name, rule->route.line);
    }
    explain_why_print(account->row, rule, look, condition, verdict);
    bool last = condition == rule_condition_at(look->query, ROUTE_CONDITION_COUNT - 1);
    if (verdict != PROBE_MATCH || last) end_row(account, rule, condition, verdict);
}

/* What the built-in probes make of the bytes. */
static const char *protocol_of(struct sight *sight)
{
    for (size_t i = 0; i < PROBE_COUNT; i++)
        if (PROBES[i].look(sight) == PROBE_MATCH) return PROBES[i].name;
    return NULL;
}

static void print_names(FILE *out, const struct clienthello *hello)
{
    char alpn[4 * CLIENTHELLO_ALPN_MAX_BYTES + 1];
    fprintf(out, "  sni   %s%s\n", hello->has_sni ? hello->sni : "none",
            hello->has_ech ? " (the outer name: the true one may be encrypted)" : "");
    fprintf(out, "  alpn  %s\n", hello->has_alpn ? clienthello_alpn_text(hello, alpn, sizeof(alpn)) : "none");
    fputs("  tls   ", out);
    explain_why_versions(out, hello->versions);
    fputc('\n', out);
}

static void print_bytes(FILE *out, const struct sight *sight)
{
    fputs("  hex  ", out);
    for (size_t i = 0; i < sight->len && i < BYTES_SHOWN; i++)
        fprintf(out, " %02x", sight->data[i]);
    fputs(sight->len > BYTES_SHOWN ? " ...\n" : "\n", out);
}

static void print_seen(FILE *out, const struct sight *seen, const struct route_query *query)
{
    struct sight sight = {.data = seen->data, .len = seen->len, .final = true};
    fprintf(out, "Seen on listener \"%s\": ", query->listener);
    if (query->inside != NULL) fprintf(out, "decrypted by tls \"%s\", ", query->inside);
    const char *protocol = protocol_of(&sight);
    if (sight.len == 0)
        fputs("nothing until peek-timeout", out);
    else if (sight.hello_partial)
        fprintf(out, "%zu bytes, the beginning of a ClientHello", sight.len);
    else
        fprintf(out, "%zu byte%s, %s", sight.len, sight.len == 1 ? "" : "s",
                protocol != NULL ? protocol : "not, or not yet, a protocol that the gateway knows by itself");
    fputc('\n', out);
    if (query->inside != NULL) print_names(out, query->negotiated);
    if (query->inside == NULL && sight.hello_done)
        print_names(out, &sight.hello);
    else if (sight.len > 0)
        print_bytes(out, &sight);
    fputc('\n', out);
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

/* Says how each row is looked at; what is taken is what the gateway takes. */
static enum route_verdict find(struct sight *sight, const struct gateway_config *config,
                               const struct route_query *query, struct route **route, FILE *out)
{
    struct account account = {.out = out};
    struct sight again = *sight;
    route_trace(config->routes, &again, query, route, trace, &account);
    print_passed(&account);
    if (again.pattern_limits > 0) fputs("  A pattern took too many steps, which is no match.\n", out);
    return route_find(config->routes, sight, query, route);
}

static void decide(struct sight *sight, const struct gateway_config *config, const struct route_query *query, FILE *out,
                   int *result)
{
    struct route *route = NULL;
    print_seen(out, sight, query);
    enum route_verdict verdict = find(sight, config, query, &route, out);
    if (verdict == ROUTE_MORE) {
        fputs("\nUndecided: the gateway waits for more.  If the client ends or sends nothing until peek-timeout:\n\n",
              out);
        sight->final = true;
        verdict = find(sight, config, query, &route, out);
    }
    if (verdict == ROUTE_FOUND)
        print_action(out, config, route);
    else
        fputs("\nTaken: no route; the connection is closed.\n", out);
    *result = verdict == ROUTE_FOUND ? 0 : 1;
}

int explain_run(const struct explain_request *request, const struct gateway_config *config, FILE *out, char *error,
                size_t cap)
{
    struct explain_input input;
    if (explain_input(request, config->peek_limit_bytes, &input, error, cap) < 0) return -1;
    const struct route_query query = {
        .listener = request->listener != NULL ? request->listener : config->listeners[0].name,
        .source = request->source != NULL ? &input.source : NULL,
        .destination = request->destination != NULL ? &input.destination : NULL,
        .inside = request->inside,
        .negotiated = request->inside != NULL ? &input.negotiated : NULL,
    };
    int result = -1;
    if (option_find(config->file, "listener", query.listener) == NULL) {
        snprintf(error, cap, "--listener: expected the title of a listener section, not \"%s\"", query.listener);
    } else if (query.inside != NULL && option_find(config->file, "tls", query.inside) == NULL) {
        snprintf(error, cap, "--inside: expected the title of a tls section, not \"%s\"", query.inside);
    } else {
        struct sight sight = {.data = input.bytes, .len = input.len};
        sight.final = request->silent || input.len == config->peek_limit_bytes;
        decide(&sight, config, &query, out, &result);
    }
    free(input.bytes);
    return result;
}
