#include "gateway/rule.h"

#include "gateway/refusal.h"
#include "gateway/server_name.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

static void names_clear(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct names){0};
}

/* Checks one name of a list and puts the form that is compared into out. */
typedef int name_check(const struct option_file *file, const char *text, char *out, const char **why);

static int check_listener(const struct option_file *file, const char *text, char *out, const char **why)
{
    (void)out;
    *why = "the title of a listener section";
    return option_find(file, "listener", text) != NULL ? 0 : -1;
}

static int check_sni(const struct option_file *file, const char *text, char *out, const char **why)
{
    (void)file;
    return server_name_pattern(text, out, why);
}

static int check_alpn(const struct option_file *file, const char *text, char *out, const char **why)
{
    (void)file;
    (void)out;
    *why = "a name of 1 to 255 bytes";
    return text[0] != '\0' && strlen(text) <= 255 ? 0 : -1;
}

static int read_names(struct names *names, const struct option_file *file, const struct option_section *section,
                      const char *option, name_check *check, char *error, size_t cap)
{
    size_t count = option_count(section, option);
    if (count == 0) return 0; /* unset: option_load refuses an empty list */
    names->items = mem_alloc(count * sizeof(*names->items));
    for (size_t i = 0; i < count; i++) {
        const char *text = option_item(section, option, i);
        const char *why = NULL;
        char cleaned[SERVER_NAME_BYTES] = "";
        if (check(file, text, cleaned, &why) < 0)
            return option_error(section, option, error, cap, "expected %s, not \"%s\"", why, text);
        names->items[names->count++] = mem_strdup(cleaned[0] != '\0' ? cleaned : text);
    }
    return 0;
}

const char *rule_protocol_name(const struct pattern_set *patterns, size_t index)
{
    return index < PROBE_COUNT ? PROBES[index].name : pattern_name(patterns, index - PROBE_COUNT);
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

static int read_protocols(struct rule *rule, const struct option_section *section, const struct pattern_set *patterns,
                          char *error, size_t cap)
{
    size_t count = option_count(section, "protocol");
    for (size_t i = 0; i < count; i++) {
        const char *text = option_item(section, "protocol", i);
        int found = probe_find(text), pattern = pattern_find(patterns, text);
        if (found < 0 && pattern < 0) {
            char known[512];
            list_protocols(patterns, known, sizeof(known));
            return option_error(section, "protocol", error, cap, "expected one of %s, not \"%s\"", known, text);
        }
        rule->protocols |= UINT64_C(1) << (found >= 0 ? (size_t)found : PROBE_COUNT + (size_t)pattern);
    }
    return 0;
}

static int read_conditions(struct rule *rule, const struct option_file *file, const struct option_section *section,
                           const struct pattern_set *patterns, char *error, size_t cap)
{
    if (read_names(&rule->listeners, file, section, "listener", check_listener, error, cap) < 0) return -1;
    if (read_protocols(rule, section, patterns, error, cap) < 0) return -1;
    if (read_names(&rule->sni, file, section, "sni", check_sni, error, cap) < 0) return -1;
    if (read_names(&rule->alpn, file, section, "alpn", check_alpn, error, cap) < 0) return -1;

    rule->on_timeout = option_bool(section, "on-timeout");
    bool named = rule->sni.count > 0 || rule->alpn.count > 0;
    if (rule->on_timeout && (named || rule->protocols != 0))
        return option_error(section, "on-timeout", error, cap,
                            "expected no protocol, sni or alpn beside it: a silent client shows none");
    if (!named) return 0;

    int tls = probe_find("tls");
    CHECK(tls >= 0);
    if (rule->protocols == 0) rule->protocols = UINT64_C(1) << tls;
    if (rule->protocols == UINT64_C(1) << tls) return 0;
    return option_error(section, "protocol", error, cap, "expected \"tls\" alone beside sni or alpn");
}

static int read_action(struct rule *rule, const struct option_file *file, const struct option_section *section,
                       char *error, size_t cap)
{
    static const struct {
        const char *option;
        const char *target; /* the kind of section that its value names */
        enum route_action action;
    } ACTIONS[] = {
        {"proxy", "upstream", ROUTE_PROXY}, {"handoff", "backend", ROUTE_HANDOFF}, {"refuse", NULL, ROUTE_REFUSE}};

    const char *first = NULL;
    for (size_t i = 0; i < ARRAY_LEN(ACTIONS); i++) {
        const char *option = ACTIONS[i].option;
        if (!option_is_set(section, option)) continue;
        if (first != NULL)
            return option_error(section, option, error, cap, "expected one action, but %s is given, too", first);
        first = option;
        rule->route.action = ACTIONS[i].action;
        const char *value = option_str(section, option);
        if (ACTIONS[i].target == NULL) {
            rule->route.refusal = refusal_find(value);
            CHECK(rule->route.refusal != NULL);
            continue;
        }
        if (option_find(file, ACTIONS[i].target, value) == NULL)
            return option_error(section, option, error, cap, "expected the title of a section \"%s\", not \"%s\"",
                                ACTIONS[i].target, value);
        rule->route.target = value;
    }
    if (first != NULL) return 0;
    return option_error(section, NULL, error, cap, "expected an action: proxy, handoff or refuse");
}

/* A refusal in words that none of the route's clients, or not all of them, would understand. */
static int check_refusal(const struct rule *rule, const struct option_section *section,
                         const struct pattern_set *patterns, char *error, size_t cap)
{
    const struct refusal *refusal = rule->route.refusal;
    if (refusal == NULL || refusal->protocol == NULL) return 0;
    if (rule->on_timeout)
        return option_error(
            section, "refuse", error, cap,
            "expected close or reset beside on-timeout: %s is for %s, and a silent client speaks nothing",
            refusal->name, refusal->protocol);
    for (size_t i = 0; i < PROBE_MAX && rule->protocols >> i != 0; i++) {
        const char *name = rule_protocol_name(patterns, i);
        if ((rule->protocols & UINT64_C(1) << i) == 0 || strcmp(name, refusal->protocol) == 0) continue;
        return option_error(section, "refuse", error, cap,
                            "expected a refusal for %s, which this route matches: %s is for %s only", name,
                            refusal->name, refusal->protocol);
    }
    return 0;
}

int rule_read(struct rule *rule, const struct option_file *file, const struct option_section *section,
              const struct pattern_set *patterns, char *error, size_t cap)
{
    *rule = (struct rule){.route = {.name = option_title(section), .line = option_line(section)}};
    if (read_conditions(rule, file, section, patterns, error, cap) < 0) return -1;
    if (read_action(rule, file, section, error, cap) < 0) return -1;
    return check_refusal(rule, section, patterns, error, cap);
}

void rule_clear(struct rule *rule)
{
    names_clear(&rule->listeners);
    names_clear(&rule->sni);
    names_clear(&rule->alpn);
}

static bool has_name(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->items[i], name) == 0) return true;
    }
    return false;
}

static bool has_sni(const struct names *patterns, const char *name)
{
    for (size_t i = 0; i < patterns->count; i++) {
        if (server_name_matches(patterns->items[i], name)) return true;
    }
    return false;
}

static bool offers_any(const struct names *names, const struct clienthello *hello)
{
    for (size_t i = 0; i < names->count; i++) {
        if (clienthello_offers(hello, names->items[i])) return true;
    }
    return false;
}

static enum probe_verdict ask(struct look *look, size_t index)
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
        enum probe_verdict one = ask(look, i);
        if (one == PROBE_MATCH) return PROBE_MATCH;
        if (one == PROBE_MORE) verdict = PROBE_MORE;
    }
    return verdict;
}

static enum probe_verdict verdict_of(bool holds)
{
    return holds ? PROBE_MATCH : PROBE_NO;
}

/* An unset condition holds. */
static enum probe_verdict condition_holds(const struct rule *rule, struct look *look, enum route_condition condition)
{
    const struct sight *sight = look->sight;
    /* A hello that stopped half way has no names to hold a condition. */
    const struct clienthello *hello = sight->hello_done ? &sight->hello : NULL;
    switch (condition) {
    case ROUTE_ON_TIMEOUT:
        return verdict_of(rule->on_timeout == (sight->len == 0 && sight->final));
    case ROUTE_LISTENER:
        return verdict_of(rule->listeners.count == 0 || has_name(&rule->listeners, look->query->listener));
    case ROUTE_PROTOCOL:
        return rule->protocols == 0 ? PROBE_MATCH : ask_any(look, rule->protocols);
    case ROUTE_SNI:
        return verdict_of(rule->sni.count == 0 || (hello != NULL && hello->has_sni && has_sni(&rule->sni, hello->sni)));
    case ROUTE_ALPN:
        return verdict_of(rule->alpn.count == 0 || (hello != NULL && offers_any(&rule->alpn, hello)));
    }
    return PROBE_NO;
}

enum probe_verdict rule_holds(const struct rule *rule, struct look *look)
{
    for (enum route_condition c = ROUTE_ON_TIMEOUT; c <= ROUTE_ALPN; c++) {
        enum probe_verdict verdict = condition_holds(rule, look, c);
        if (look->trace != NULL) look->trace(look->trace_arg, rule, look, c, verdict);
        if (verdict != PROBE_MATCH) return verdict;
    }
    return PROBE_MATCH;
}

/* Whether each name of narrow is taken by wide; unset is everything. */
static bool names_cover(const struct names *wide, const struct names *narrow,
                        bool (*has)(const struct names *, const char *))
{
    if (wide->count == 0) return true;
    for (size_t i = 0; i < narrow->count; i++) {
        if (!has(wide, narrow->items[i])) return false;
    }
    return narrow->count > 0;
}

bool rule_covers(const struct rule *wide, const struct rule *narrow)
{
    if (wide->on_timeout != narrow->on_timeout) return false;
    if (wide->protocols != 0 && (narrow->protocols == 0 || (narrow->protocols & ~wide->protocols) != 0)) return false;
    return names_cover(&wide->listeners, &narrow->listeners, has_name) &&
           names_cover(&wide->sni, &narrow->sni, has_sni) && names_cover(&wide->alpn, &narrow->alpn, has_name);
}
