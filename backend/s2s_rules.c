#include "backend/s2s_rules.h"

#include "backend/domain_map.h"
#include "backend/onion.h"
#include "lib/option.h"

#include <string.h>

const char S2S_RULE_SECURE[] = "s2s-secure-domains", S2S_RULE_INSECURE[] = "s2s-insecure-domains",
           S2S_RULE_ALLOW[] = "s2s-allow", S2S_RULE_DENY[] = "s2s-deny";

/* Where options are looked for. */
struct source {
    const struct option_section *top, *host; /* host: may be NULL */
    char *error;
    size_t cap;
};

static const struct option_section *section(const struct source *source, const char *option)
{
    return source->host && option_is_set(source->host, option) ? source->host : source->top;
}

/* The patterns of a list (named by the option), each with the list's name as the value. */
static int add_list(const struct source *source, const char *list, struct domain_map **map)
{
    const struct option_section *s = section(source, list);
    for (size_t i = 0; i < option_count(s, list); i++) {
        char pattern[DOMAIN_PATTERN_BYTES];
        const char *why = NULL;
        const char *text = option_item(s, list, i);
        if (domain_pattern_prepare(text, pattern, &why) != 0)
            return option_error(s, list, source->error, source->cap,
                                "expected domains such as \"example.net\" or \"*.example.net\", not \"%s\": %s", text,
                                why);
        if (!*map) *map = domain_map_new();
        const char *other = domain_map_set(*map, pattern, list);
        if (other && other != list)
            return option_error(s, list, source->error, source->cap, "\"%s\" is in %s as well", pattern, other);
        if (list == S2S_RULE_SECURE && onion_is(pattern))
            return option_error(s, list, source->error, source->cap,
                                "\"%s\" is an onion service, which has no certificate: its address proves it", pattern);
    }
    return 0;
}

int s2s_rules_proxy(struct endpoint *proxy, const struct option_section *s, const char *option, char *error, size_t cap)
{
    const char *text = option_str(s, option), *why = NULL;
    if (endpoint_parse(text, proxy, &why) == 0 && proxy->sa.sa_family != AF_UNIX && !addr_is_any(&proxy->ip) &&
        addr_port(&proxy->ip) != 0)
        return 0;
    return option_error(s, option, error, cap,
                        "expected the address and port of a SOCKS5 proxy, such as \"127.0.0.1:9050\", not \"%s\"",
                        text);
}

/* What the options say is one thing only when somebody can still prove who he is. */
static int check_proofs(const struct source *source, const struct s2s_rules *rules)
{
    const struct option_section *s = section(source, "s2s-require-encryption");
    if (!rules->base.encrypt && rules->base.secure)
        return option_error(
            s, "s2s-require-encryption", source->error, source->cap,
            "expected \"s2s-secure-auth = false\" beside it: without encryption there is no certificate");
    s = section(source, "s2s-dialback");
    if (!rules->base.dialback && !rules->base.secure)
        return option_error(
            s, "s2s-dialback", source->error, source->cap,
            "expected \"s2s-secure-auth = true\" beside it: without dialback only certificates are left");
    s = section(source, S2S_RULE_INSECURE);
    if (!rules->base.dialback && option_count(s, S2S_RULE_INSECURE) > 0)
        return option_error(s, S2S_RULE_INSECURE, source->error, source->cap,
                            "expected \"s2s-dialback = true\" beside it: without dialback only certificates are left");
    return 0;
}

static void read_base(const struct source *source, struct s2s_policy *base)
{
#define FLAG(option)   option_bool(section(source, option), option)
#define NUMBER(option) option_int(section(source, option), option)
    base->encrypt = FLAG("s2s-require-encryption");
    base->secure = FLAG("s2s-secure-auth");
    base->dialback = FLAG("s2s-dialback");
    base->dane = FLAG("s2s-dane");
    base->stanza_bytes = (size_t)NUMBER("s2s-stanza-size");
    base->stanza_rate = NUMBER("s2s-stanza-rate");
    base->byte_rate = NUMBER("s2s-byte-rate");
    base->streams = (unsigned)NUMBER("s2s-streams-per-domain");
    base->idle_ms = NUMBER("s2s-idle-timeout");
#undef NUMBER
#undef FLAG
    /* One queue and one hibernation for all of our domains: not a host's to say. */
    base->resume_ms = option_int(source->top, "s2s-resume-timeout");
    base->queue_messages = (size_t)option_int(source->top, "s2s-queue-messages");
    base->queue_bytes = (size_t)option_int(source->top, "s2s-queue-bytes");
    base->queue_age_ms = option_int(source->top, "s2s-queue-age");
}

int s2s_rules_read(struct s2s_rules *rules, const struct option_section *top, const struct option_section *host,
                   char *error, size_t cap)
{
    const struct source source = {.top = top, .host = host, .error = error, .cap = cap};
    const struct option_section *s = section(&source, "s2s-proxy");
    rules->enabled = option_bool(section(&source, "s2s"), "s2s");
    rules->has_proxy = option_str(s, "s2s-proxy") != NULL;
    rules->proxy_all = option_enum(section(&source, "s2s-proxy-for"), "s2s-proxy-for") == 1;
    rules->allows_some = option_count(section(&source, S2S_RULE_ALLOW), S2S_RULE_ALLOW) > 0;
    read_base(&source, &rules->base);
    if (rules->has_proxy && s2s_rules_proxy(&rules->proxy, s, "s2s-proxy", error, cap) != 0) return -1;
    s = section(&source, "s2s-proxy-for");
    if (rules->proxy_all && !rules->has_proxy)
        return option_error(s, "s2s-proxy-for", error, cap, "expected s2s-proxy beside it, such as \"127.0.0.1:9050\"");
    if (add_list(&source, S2S_RULE_SECURE, &rules->trust) != 0 ||
        add_list(&source, S2S_RULE_INSECURE, &rules->trust) != 0 ||
        add_list(&source, S2S_RULE_ALLOW, &rules->admit) != 0 || add_list(&source, S2S_RULE_DENY, &rules->admit) != 0)
        return -1;
    return check_proofs(&source, rules);
}

void s2s_rules_clear(struct s2s_rules *rules)
{
    domain_map_free(&rules->trust);
    domain_map_free(&rules->admit);
}

bool s2s_rules_admit(const struct s2s_rules *rules, const char *domain)
{
    const char *found = rules->admit ? domain_map_find(rules->admit, domain) : NULL;
    return found ? found == S2S_RULE_ALLOW : !rules->allows_some;
}
