#include "gateway/rule_read.h"

#include "gateway/refusal.h"
#include "gateway/server_name.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

/* What a section is read with. */
struct reading {
    struct rule *rule;
    const struct option_file *file;
    const struct option_section *section;
    const struct pattern_set *patterns;
    char *error;
    size_t cap;
};

#define FAIL(r, option, ...) option_error((r)->section, (option), (r)->error, (r)->cap, __VA_ARGS__)

/* Checks one name of a list and puts the form that is compared into out, where it is another. */
typedef int name_check(const struct reading *r, const char *text, char *out, const char **why);

static int check_listener(const struct reading *r, const char *text, char *out, const char **why)
{
    (void)out;
    *why = "the title of a listener section";
    return option_find(r->file, "listener", text) != NULL ? 0 : -1;
}

static int check_inside(const struct reading *r, const char *text, char *out, const char **why)
{
    (void)out;
    *why = "the title of a tls section";
    return option_find(r->file, "tls", text) != NULL ? 0 : -1;
}

static int check_alpn(const struct reading *r, const char *text, char *out, const char **why)
{
    (void)r, (void)out;
    *why = "a name of 1 to 255 bytes";
    return text[0] != '\0' && strlen(text) <= 255 ? 0 : -1;
}

static int read_names(const struct reading *r, struct names *names, const char *option, name_check *check)
{
    size_t count = option_count(r->section, option);
    if (count == 0) return 0; /* unset: option_load refuses an empty list */
    names->items = mem_alloc(count * sizeof(*names->items));
    for (size_t i = 0; i < count; i++) {
        const char *text = option_item(r->section, option, i);
        const char *why = NULL;
        char cleaned[SERVER_NAME_BYTES] = "";
        if (check(r, text, cleaned, &why) < 0) return FAIL(r, option, "expected %s, not \"%s\"", why, text);
        names->items[names->count++] = mem_strdup(cleaned[0] != '\0' ? cleaned : text);
    }
    return 0;
}

static int read_sni_regex(const struct reading *r, const char *text)
{
    char why[256], label[128];
    struct rule *rule = r->rule;
    if (rule->sni_regex_count == RULE_SNI_REGEXES_MAX)
        return FAIL(r, "sni", "expected at most %d regular expressions in one route", RULE_SNI_REGEXES_MAX);
    if (text[0] == '\0') return FAIL(r, "sni", "expected a regular expression after \"~\"");
    snprintf(label, sizeof(label), "route \"%s\": sni", option_title(r->section));
    int index = regex_add(pattern_regexes(r->patterns), text, REGEX_NAME, label, why, sizeof(why));
    if (index < 0) return FAIL(r, "sni", "\"~%s\": %s", text, why);
    rule->sni_regexes[rule->sni_regex_count++] = (size_t)index;
    return 0;
}

static int read_sni(const struct reading *r)
{
    struct names *names = &r->rule->sni;
    size_t count = option_count(r->section, "sni");
    if (count == 0) return 0;
    names->items = mem_alloc(count * sizeof(*names->items));
    for (size_t i = 0; i < count; i++) {
        const char *text = option_item(r->section, "sni", i), *why = NULL;
        char cleaned[SERVER_NAME_BYTES];
        if (text[0] == '~') {
            if (read_sni_regex(r, text + 1) < 0) return -1;
            continue;
        }
        if (server_name_pattern(text, cleaned, &why) < 0) return FAIL(r, "sni", "expected %s, not \"%s\"", why, text);
        names->items[names->count++] = mem_strdup(cleaned);
    }
    return 0;
}

static int read_versions(const struct reading *r)
{
    static const struct {
        const char *text;
        uint8_t bit;
    } VERSIONS[] = {
        {"1.0", CLIENTHELLO_TLS10}, {"1.1", CLIENTHELLO_TLS11}, {"1.2", CLIENTHELLO_TLS12}, {"1.3", CLIENTHELLO_TLS13}};
    for (size_t i = 0; i < option_count(r->section, "tls-version"); i++) {
        const char *text = option_item(r->section, "tls-version", i);
        size_t v = 0;
        while (v < ARRAY_LEN(VERSIONS) && strcmp(VERSIONS[v].text, text) != 0)
            v++;
        if (v == ARRAY_LEN(VERSIONS))
            return FAIL(r, "tls-version", "expected one of 1.0, 1.1, 1.2, 1.3, not \"%s\"", text);
        r->rule->versions |= VERSIONS[v].bit;
    }
    return 0;
}

/* The names of all probes and patterns, as a list in known (cap bytes). */
static void list_protocols(const struct pattern_set *patterns, char *known, size_t cap)
{
    known[0] = '\0';
    for (size_t i = 0; i < PROBE_COUNT + pattern_count(patterns); i++) {
        strncat(known, i == 0 ? "" : ", ", cap - strlen(known) - 1);
        strncat(known, rule_protocol_name(patterns, i), cap - strlen(known) - 1);
    }
}

static int read_protocols(const struct reading *r)
{
    size_t count = option_count(r->section, "protocol");
    for (size_t i = 0; i < count; i++) {
        const char *text = option_item(r->section, "protocol", i);
        int found = probe_find(text), pattern = pattern_find(r->patterns, text);
        if (found < 0 && pattern < 0) {
            char known[512];
            list_protocols(r->patterns, known, sizeof(known));
            return FAIL(r, "protocol", "expected one of %s, not \"%s\"", known, text);
        }
        r->rule->protocols |= UINT64_C(1) << (found >= 0 ? (size_t)found : PROBE_COUNT + (size_t)pattern);
    }
    return 0;
}

static int read_conditions(const struct reading *r)
{
    struct rule *rule = r->rule;
    rule->on_timeout = option_bool(r->section, "on-timeout");
    rule->no_sni = option_bool(r->section, "no-sni");
    rule->no_alpn = option_bool(r->section, "no-alpn");
    rule->ech = option_bool(r->section, "ech");
    if (read_names(r, &rule->inside, "inside", check_inside) < 0) return -1;
    if (read_names(r, &rule->listeners, "listener", check_listener) < 0) return -1;
    if (cidr_set_read(&rule->source, r->section, "source", r->error, r->cap) < 0) return -1;
    if (destination_list_read(&rule->destination, r->section, "destination", r->error, r->cap) < 0) return -1;
    if (read_protocols(r) < 0 || read_sni(r) < 0 || read_versions(r) < 0) return -1;
    return read_names(r, &rule->alpn, "alpn", check_alpn);
}

static const char *const HELLO_OPTIONS[] = {"sni", "no-sni", "alpn", "no-alpn", "tls-version", "ech"};

/* The first condition on a hello that the row has, by the name of its option; NULL: none. */
static const char *hello_option(const struct rule *rule)
{
    static const enum route_condition CONDITIONS[] = {ROUTE_SNI,     ROUTE_NO_SNI,      ROUTE_ALPN,
                                                      ROUTE_NO_ALPN, ROUTE_TLS_VERSION, ROUTE_ECH};
    for (size_t i = 0; i < ARRAY_LEN(CONDITIONS); i++)
        if (rule_is_set(rule, CONDITIONS[i])) return HELLO_OPTIONS[i];
    return NULL;
}

/* Conditions that no connection meets together. */
static int check_conditions(const struct reading *r)
{
    struct rule *rule = r->rule;
    if (rule->no_sni && rule_is_set(rule, ROUTE_SNI))
        return FAIL(r, "no-sni", "expected no sni beside it: a client sends a name or none");
    if (rule->no_alpn && rule->alpn.count > 0)
        return FAIL(r, "no-alpn", "expected no alpn beside it: a client offers something or nothing");
    const char *hello = hello_option(rule);
    const char *shown = rule->protocols != 0 ? "protocol" : hello;
    if (rule->inside.count > 0 && shown == hello) shown = NULL; /* the handshake has told */
    if (rule->on_timeout && shown != NULL)
        return FAIL(r, "on-timeout", "expected no %s beside it: a silent client shows none", shown);
    if (rule->inside.count > 0) {
        if (!rule->ech) return 0;
        return FAIL(r, "ech", "expected it in the route that terminates, not beside inside");
    }
    const char *for_tls = hello != NULL ? hello : option_is_set(r->section, "terminate") ? "terminate" : NULL;
    if (for_tls == NULL) return 0;
    if (rule->on_timeout) return FAIL(r, "on-timeout", "expected another action: a silent client begins no TLS");
    int tls = probe_find("tls");
    CHECK(tls >= 0);
    if (rule->protocols == 0) rule->protocols = UINT64_C(1) << tls;
    if (rule->protocols == UINT64_C(1) << tls) return 0;
    return FAIL(r, "protocol", "expected \"tls\" alone beside %s", for_tls);
}

static int read_action(const struct reading *r)
{
    static const struct {
        const char *option;
        const char *target; /* the kind of section that its value names */
        enum route_action action;
    } ACTIONS[] = {{"proxy", "upstream", ROUTE_PROXY},
                   {"handoff", "backend", ROUTE_HANDOFF},
                   {"terminate", "tls", ROUTE_TERMINATE},
                   {"refuse", NULL, ROUTE_REFUSE}};

    const char *first = NULL;
    struct route *route = &r->rule->route;
    for (size_t i = 0; i < ARRAY_LEN(ACTIONS); i++) {
        const char *option = ACTIONS[i].option;
        if (!option_is_set(r->section, option)) continue;
        if (first != NULL) return FAIL(r, option, "expected one action, but %s is given, too", first);
        first = option;
        route->action = ACTIONS[i].action;
        const char *value = option_str(r->section, option);
        if (ACTIONS[i].target == NULL) {
            route->refusal = refusal_find(value);
            CHECK(route->refusal != NULL);
            continue;
        }
        if (option_find(r->file, ACTIONS[i].target, value) == NULL)
            return FAIL(r, option, "expected the title of a section \"%s\", not \"%s\"", ACTIONS[i].target, value);
        route->target = value;
    }
    if (first != NULL) return 0;
    return FAIL(r, NULL, "expected an action: proxy, handoff, terminate or refuse");
}

/* A refusal in words that none of the route's clients, or not all of them, would understand. */
static int check_refusal(const struct reading *r)
{
    const struct rule *rule = r->rule;
    const struct refusal *refusal = rule->route.refusal;
    if (refusal == NULL || refusal->protocol == NULL) return 0;
    if (rule->on_timeout)
        return FAIL(r, "refuse",
                    "expected close or reset beside on-timeout: %s is for %s, and a silent client speaks nothing",
                    refusal->name, refusal->protocol);
    for (size_t i = 0; i < PROBE_MAX && rule->protocols >> i != 0; i++) {
        const char *name = rule_protocol_name(r->patterns, i);
        if ((rule->protocols & UINT64_C(1) << i) == 0 || strcmp(name, refusal->protocol) == 0) continue;
        return FAIL(r, "refuse", "expected a refusal for %s, which this route matches: %s is for %s only", name,
                    refusal->name, refusal->protocol);
    }
    return 0;
}

/* What cannot be done with a connection that is decrypted here. */
static int check_inside_action(const struct reading *r)
{
    const struct rule *rule = r->rule;
    const struct refusal *refusal = rule->route.refusal;
    if (rule->inside.count == 0) return 0;
    if (rule->route.action == ROUTE_HANDOFF)
        return FAIL(r, "handoff",
                    "expected proxy or refuse beside inside: who gets the socket cannot read what is "
                    "decrypted here");
    if (rule->route.action == ROUTE_TERMINATE)
        return FAIL(r, "terminate", "expected proxy or refuse beside inside: this is decrypted already");
    if (refusal != NULL && refusal->protocol != NULL && strcmp(refusal->protocol, "tls") == 0)
        return FAIL(r, "refuse", "expected another refusal beside inside: %s is for before the handshake",
                    refusal->name);
    if (refusal != NULL && strcmp(refusal->name, "https-redirect") == 0)
        return FAIL(r, "refuse", "expected another refusal beside inside: the client uses https already");
    return 0;
}

int rule_read(struct rule *rule, const struct option_file *file, const struct option_section *section,
              const struct pattern_set *patterns, char *error, size_t cap)
{
    const struct reading r = {rule, file, section, patterns, error, cap};
    *rule = (struct rule){.route = {.name = option_title(section), .line = option_line(section)}};
    if (read_conditions(&r) < 0 || check_conditions(&r) < 0 || read_action(&r) < 0) return -1;
    return check_refusal(&r) < 0 ? -1 : check_inside_action(&r);
}
