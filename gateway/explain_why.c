#include "gateway/explain_why.h"

enum { NAMES_SHOWN = 6 }; /* of a list */

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

void explain_why_versions(FILE *out, uint8_t versions)
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
    explain_why_versions(out, hello->versions);
    fputs(verdict == PROBE_MATCH ? "; one of: " : "; wanted: ", out);
    explain_why_versions(out, rule->versions);
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

const char *explain_why_name(enum route_condition condition)
{
    return CONDITIONS[condition];
}

void explain_why_print(FILE *out, const struct rule *rule, const struct look *look, enum route_condition condition,
                       enum probe_verdict verdict)
{
    static const char *const HOLDS[] = {[PROBE_NO] = "NO", [PROBE_MORE] = "?", [PROBE_MATCH] = "yes"};
    if (rule_is_set(rule, condition) || verdict != PROBE_MATCH) {
        fprintf(out, "    %-11s  %-3s  ", CONDITIONS[condition], HOLDS[verdict]);
        WHYS[condition](out, rule, look, verdict);
        fputc('\n', out);
    }
    if (verdict != PROBE_MATCH) print_rest(out, rule, look, condition);
}
