#include "gateway/rule.h"

#include "gateway/server_name.h"

#include <stdlib.h>
#include <string.h>

static void names_clear(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct names){0};
}

void rule_clear(struct rule *rule)
{
    names_clear(&rule->inside);
    names_clear(&rule->listeners);
    cidr_set_clear(&rule->source);
    destination_list_clear(&rule->destination);
    names_clear(&rule->sni);
    names_clear(&rule->alpn);
}

const char *rule_protocol_name(const struct pattern_set *patterns, size_t index)
{
    return index < PROBE_COUNT ? PROBES[index].name : pattern_name(patterns, index - PROBE_COUNT);
}

bool rule_is_set(const struct rule *rule, enum route_condition condition)
{
    switch (condition) {
    case ROUTE_ON_TIMEOUT:
        return rule->on_timeout;
    case ROUTE_INSIDE:
        return rule->inside.count > 0;
    case ROUTE_LISTENER:
        return rule->listeners.count > 0;
    case ROUTE_SOURCE:
        return rule->source.count > 0;
    case ROUTE_DESTINATION:
        return rule->destination.count > 0;
    case ROUTE_PROTOCOL:
        return rule->protocols != 0;
    case ROUTE_NO_SNI:
        return rule->no_sni;
    case ROUTE_SNI:
        return rule->sni.count > 0 || rule->sni_regex_count > 0;
    case ROUTE_NO_ALPN:
        return rule->no_alpn;
    case ROUTE_ALPN:
        return rule->alpn.count > 0;
    case ROUTE_TLS_VERSION:
        return rule->versions != 0;
    case ROUTE_ECH:
        return rule->ech;
    case ROUTE_CONDITION_COUNT:
        break;
    }
    return false;
}

static bool has_name(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->items[i], name) == 0) return true;
    }
    return false;
}

bool rule_is_inside(const struct rule *rule, const char *tls)
{
    return has_name(&rule->inside, tls);
}

static bool has_sni(const struct names *patterns, const char *name)
{
    for (size_t i = 0; i < patterns->count; i++) {
        if (server_name_matches(patterns->items[i], name)) return true;
    }
    return false;
}

/* Adds to *limits the searches that took too many steps. */
static bool finds_sni(const struct rule *rule, const struct pattern_set *patterns, const char *name, unsigned *limits)
{
    for (size_t i = 0; i < rule->sni_regex_count; i++) {
        enum regex_verdict verdict =
            regex_search(pattern_regexes(patterns), rule->sni_regexes[i], (const uint8_t *)name, strlen(name), false);
        if (verdict == REGEX_MATCH) return true;
        *limits += verdict == REGEX_LIMIT;
    }
    return false;
}

static bool sni_holds(const struct rule *rule, const struct look *look, const struct clienthello *hello)
{
    if (look->sni == LOOK_SNI_FOUND) return true;
    if (!hello->has_sni) return false;
    if (look->sni == LOOK_SNI_ALL && has_sni(&rule->sni, hello->sni)) return true;
    return finds_sni(rule, look->patterns, hello->sni, &look->sight->pattern_limits);
}

static bool offers_any(const struct names *names, const struct clienthello *hello)
{
    for (size_t i = 0; i < names->count; i++) {
        if (clienthello_offers(hello, names->items[i])) return true;
    }
    return false;
}

enum probe_verdict rule_ask(struct look *look, size_t index)
{
    uint64_t bit = UINT64_C(1) << index;
    if ((look->asked & bit) == 0) {
        look->asked |= bit;
        look->verdicts[index] = index < PROBE_COUNT ? PROBES[index].look(look->sight)
                                                    : pattern_look(look->patterns, index - PROBE_COUNT, look->sight);
        CHECK(look->verdicts[index] != PROBE_MORE || !look->sight->final);
    }
    if (index >= PROBE_COUNT && look->verdicts[index] == PROBE_MATCH)
        look->sight->pattern = pattern_name(look->patterns, index - PROBE_COUNT);
    return look->verdicts[index];
}

/* Whether one of the protocols is what is seen. */
static enum probe_verdict ask_any(struct look *look, uint64_t protocols)
{
    enum probe_verdict verdict = PROBE_NO;
    for (size_t i = 0; i < PROBE_MAX && protocols >> i != 0; i++) {
        if ((protocols & UINT64_C(1) << i) == 0) continue;
        enum probe_verdict one = rule_ask(look, i);
        if (one == PROBE_MATCH) return PROBE_MATCH;
        if (one == PROBE_MORE) verdict = PROBE_MORE;
    }
    return verdict;
}

const struct clienthello *rule_hello(const struct look *look)
{
    if (look->query->inside != NULL) return look->query->negotiated;
    /* A hello that stopped half way has no names to hold a condition. */
    return look->sight->hello_done ? &look->sight->hello : NULL;
}

static bool place_holds(const struct rule *rule, const struct route_query *query, enum route_condition condition)
{
    switch (condition) {
    case ROUTE_INSIDE:
        return query->inside == NULL ? rule->inside.count == 0 : has_name(&rule->inside, query->inside);
    case ROUTE_LISTENER:
        return rule->listeners.count == 0 || has_name(&rule->listeners, query->listener);
    case ROUTE_SOURCE:
        return rule->source.count == 0 || (query->source != NULL && cidr_set_holds(&rule->source, query->source));
    default:
        return rule->destination.count == 0 ||
               (query->destination != NULL && destination_list_holds(&rule->destination, query->destination));
    }
}

bool rule_place_holds(const struct rule *rule, const struct route_query *query)
{
    for (enum route_condition c = ROUTE_INSIDE; c <= ROUTE_DESTINATION; c++)
        if (!place_holds(rule, query, c)) return false;
    return true;
}

/* The conditions on what a hello says; none holds without one. */
static bool hello_holds(const struct rule *rule, const struct look *look, enum route_condition condition)
{
    const struct clienthello *hello = rule_hello(look);
    if (!rule_is_set(rule, condition)) return true;
    if (hello == NULL) return false;
    switch (condition) {
    case ROUTE_NO_SNI:
        return !hello->has_sni;
    case ROUTE_SNI:
        return sni_holds(rule, look, hello);
    case ROUTE_NO_ALPN:
        return hello->alpn_len == 0;
    case ROUTE_ALPN:
        return offers_any(&rule->alpn, hello);
    case ROUTE_TLS_VERSION:
        return (rule->versions & hello->versions) != 0;
    default:
        return hello->has_ech;
    }
}

bool rule_told_holds(const struct rule *rule, const struct look *look)
{
    for (enum route_condition c = ROUTE_NO_SNI; c < ROUTE_CONDITION_COUNT; c++)
        if (!hello_holds(rule, look, c)) return false;
    return true;
}

static enum probe_verdict verdict_of(bool holds)
{
    return holds ? PROBE_MATCH : PROBE_NO;
}

/* An unset condition holds. */
static enum probe_verdict condition_holds(const struct rule *rule, struct look *look, enum route_condition condition)
{
    const struct sight *sight = look->sight;
    if (condition == ROUTE_ON_TIMEOUT) return verdict_of(rule->on_timeout == (sight->len == 0 && sight->final));
    if (condition < ROUTE_PROTOCOL) return verdict_of(place_holds(rule, look->query, condition));
    if (condition > ROUTE_PROTOCOL) return verdict_of(hello_holds(rule, look, condition));
    return rule->protocols == 0 ? PROBE_MATCH : ask_any(look, rule->protocols);
}

enum route_condition rule_condition_at(const struct route_query *query, size_t i)
{
    enum route_condition c = (enum route_condition)i;
    if (query->inside == NULL || c < ROUTE_PROTOCOL) return c;
    return c + 1 < ROUTE_CONDITION_COUNT ? c + 1 : ROUTE_PROTOCOL;
}

enum probe_verdict rule_holds(const struct rule *rule, struct look *look)
{
    for (size_t i = 0; i < ROUTE_CONDITION_COUNT; i++) {
        enum route_condition c = rule_condition_at(look->query, i);
        enum probe_verdict verdict = condition_holds(rule, look, c);
        if (look->trace != NULL) look->trace(look->trace_arg, rule, look, c, verdict);
        if (verdict != PROBE_MATCH) return verdict;
    }
    return PROBE_MATCH;
}

/* Whether each name of narrow is one of wide; unset is everything. */
static bool names_cover(const struct names *wide, const struct names *narrow)
{
    if (wide->count == 0) return true;
    for (size_t i = 0; i < narrow->count; i++) {
        if (!has_name(wide, narrow->items[i])) return false;
    }
    return narrow->count > 0;
}

/* Where a connection comes from, goes to and is. */
static bool places_cover(const struct rule *wide, const struct rule *narrow)
{
    if ((wide->inside.count == 0) != (narrow->inside.count == 0)) return false;
    if (!names_cover(&wide->inside, &narrow->inside) || !names_cover(&wide->listeners, &narrow->listeners))
        return false;
    if (wide->source.count > 0 && (narrow->source.count == 0 || !cidr_set_covers(&wide->source, &narrow->source)))
        return false;
    return wide->destination.count == 0 ||
           (narrow->destination.count > 0 && destination_list_covers(&wide->destination, &narrow->destination));
}

/* A regular expression takes itself, and the names that it finds; what it makes of all names behind a "*." is not
 * known.
 */
static bool regex_takes(const struct rule *wide, const char *name, const struct pattern_set *patterns)
{
    unsigned limits = 0;
    return strncmp(name, "*.", 2) != 0 && finds_sni(wide, patterns, name, &limits);
}

static bool has_regex(const struct rule *rule, const char *text, const struct pattern_set *patterns)
{
    for (size_t i = 0; i < rule->sni_regex_count; i++)
        if (strcmp(regex_text(pattern_regexes(patterns), rule->sni_regexes[i]), text) == 0) return true;
    return false;
}

static bool sni_covers(const struct rule *wide, const struct rule *narrow, const struct pattern_set *patterns)
{
    if (!rule_is_set(wide, ROUTE_SNI)) return true;
    if (!rule_is_set(narrow, ROUTE_SNI)) return false;
    for (size_t i = 0; i < narrow->sni_regex_count; i++)
        if (!has_regex(wide, regex_text(pattern_regexes(patterns), narrow->sni_regexes[i]), patterns)) return false;
    for (size_t i = 0; i < narrow->sni.count; i++) {
        const char *name = narrow->sni.items[i];
        if (!has_sni(&wide->sni, name) && !regex_takes(wide, name, patterns)) return false;
    }
    return true;
}

static bool flags_cover(const struct rule *wide, const struct rule *narrow)
{
    if (wide->on_timeout != narrow->on_timeout) return false;
    if ((wide->no_sni && !narrow->no_sni) || (wide->no_alpn && !narrow->no_alpn) || (wide->ech && !narrow->ech))
        return false;
    if (wide->versions != 0 && (narrow->versions == 0 || (narrow->versions & ~wide->versions) != 0)) return false;
    return wide->protocols == 0 || (narrow->protocols != 0 && (narrow->protocols & ~wide->protocols) == 0);
}

bool rule_covers(const struct rule *wide, const struct rule *narrow, const struct pattern_set *patterns)
{
    return flags_cover(wide, narrow) && places_cover(wide, narrow) && names_cover(&wide->alpn, &narrow->alpn) &&
           sni_covers(wide, narrow, patterns);
}
