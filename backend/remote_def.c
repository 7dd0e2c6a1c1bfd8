#include "backend/remote_def.h"

#include "backend/component_def.h"
#include "backend/domain_map.h"
#include "backend/host.h"
#include "backend/onion.h"
#include "backend/s2s_pin.h"
#include "backend/s2s_place.h"
#include "backend/s2s_rules.h"
#include "lib/mem.h"
#include "lib/option.h"

#include <stdlib.h>
#include <string.h>

struct remote_defs {
    struct domain_map *by_pattern;
    size_t count;
    struct remote_def *list;
};

static int read_pins(struct remote_def *def, char *error, size_t cap)
{
    const size_t count = option_count(def->section, "pins");
    def->pins = mem_alloc((count + 1) * sizeof(*def->pins));
    for (size_t i = 0; i < count; i++) {
        const char *text = option_item(def->section, "pins", i);
        if (!s2s_pin_parse(text, def->pins[def->pin_count++]))
            return option_error(def->section, "pins", error, cap,
                                "expected \"sha256:\" and 64 hexadecimal digits or 44 characters of Base64, not \"%s\"",
                                text);
    }
    return 0;
}

static int add_place(struct remote_def *def, const char *option, const char *text, enum s2s_tls tls, char *error,
                     size_t cap)
{
    def->places = mem_realloc(def->places, (def->place_count + 1) * sizeof(struct s2s_place));
    struct s2s_place *place = &def->places[def->place_count];
    if (!s2s_place_parse(text, tls, place))
        return option_error(def->section, option, error, cap,
                            "expected names or addresses, with a port or without, such as \"xmpp.example.net:5269\" or "
                            "\"[2001:db8::1]\", not \"%s\"",
                            text);
    def->place_count++;
    const char *why = onion_fault(place->name);
    if (why)
        return option_error(def->section, option, error, cap, "expected another address than \"%s\": %s", text, why);
    return 0;
}

static int read_places(struct remote_def *def, char *error, size_t cap)
{
    const struct option_section *s = def->section;
    const bool direct_tls = option_enum(s, "tls") == 1;
    const size_t count = option_count(s, "address");
    if (count == 0 && option_is_set(s, "tls"))
        return option_error(s, "tls", error, cap, "expected \"address\" beside it: otherwise DNS says it");
    for (size_t i = 0; i < count; i++)
        if (add_place(def, "address", option_item(s, "address", i), direct_tls ? S2S_TLS_DIRECT : S2S_TLS_STARTTLS,
                      error, cap) != 0)
            return -1;
    return 0;
}

static int refuse_beside_onion(const struct remote_def *def, const char *option, bool wrong, const char *expected,
                               char *error, size_t cap)
{
    return wrong ? option_error(def->section, option, error, cap, "%s", expected) : 0;
}

/* An onion service is proved by its address, and encrypted by Tor. */
static int check_onion(const struct remote_def *def, char *error, size_t cap)
{
    static const char NONE[] = "expected nothing: a server behind an onion address is reached without TLS";
    const struct option_section *s = def->section;
    if (refuse_beside_onion(def, "tls", option_is_set(s, "tls"), NONE, error, cap) != 0 ||
        refuse_beside_onion(def, "pins", def->pin_count > 0, NONE, error, cap) != 0 ||
        refuse_beside_onion(def, "require-encryption", def->encrypt == 1, NONE, error, cap) != 0 ||
        refuse_beside_onion(def, "secure-auth", def->secure == 1, NONE, error, cap) != 0 ||
        refuse_beside_onion(def, "dialback", def->dialback == 0,
                            "expected true: by dialback a server behind an onion address proves its name", error,
                            cap) != 0 ||
        refuse_beside_onion(def, "proxy", def->direct,
                            "expected the address of a SOCKS5 proxy: onion addresses can be reached by Tor only", error,
                            cap) != 0)
        return -1;
    for (size_t i = 0; i < def->place_count; i++)
        if (!onion_is(def->places[i].name))
            return option_error(s, "address", error, cap, "expected onion addresses, not \"%s\"", def->places[i].name);
    return 0;
}

static int read_onion(struct remote_def *def, char *error, size_t cap)
{
    const struct option_section *s = def->section;
    const char *text = option_str(s, "onion");
    def->onion = text || onion_is(def->pattern);
    if (text && onion_is(def->pattern))
        return option_error(s, "onion", error, cap, "expected nothing: the domain is an onion address itself");
    if (text && def->place_count > 0)
        return option_error(s, "onion", error, cap, "expected no \"address\" beside it: it is reached by this alone");
    if (text && add_place(def, "onion", text, S2S_TLS_STARTTLS, error, cap) != 0) return -1;
    if (text && !onion_is(def->places[0].name))
        return option_error(s, "onion", error, cap, "expected an address that ends in .onion, not \"%s\"", text);
    for (size_t i = 0; i < def->place_count && !def->onion; i++)
        if (onion_is(def->places[i].name))
            return option_error(s, "address", error, cap, "expected \"onion = %s\" for an onion address",
                                def->places[i].name);
    return def->onion ? check_onion(def, error, cap) : 0;
}

static int read_proxy(struct remote_def *def, char *error, size_t cap)
{
    const char *text = option_str(def->section, "proxy");
    def->direct = text && strcmp(text, "none") == 0;
    def->has_proxy = text && !def->direct;
    return def->has_proxy ? s2s_rules_proxy(&def->proxy, def->section, "proxy", error, cap) : 0;
}

static void read_numbers(struct remote_def *def)
{
    const struct option_section *s = def->section;
#define FLAG(option)   (option_is_set(s, option) ? (int)option_bool(s, option) : -1)
#define NUMBER(option) (option_is_set(s, option) ? option_int(s, option) : -1)
    def->encrypt = FLAG("require-encryption");
    def->secure = FLAG("secure-auth");
    def->dialback = FLAG("dialback");
    def->dane = FLAG("dane");
    def->stanza_bytes = NUMBER("stanza-size");
    def->stanza_rate = NUMBER("stanza-rate");
    def->byte_rate = NUMBER("byte-rate");
    def->streams = NUMBER("streams-per-domain");
    def->idle_ms = NUMBER("idle-timeout");
    def->resume_ms = NUMBER("resume-timeout");
    def->queue_messages = NUMBER("queue-messages");
    def->queue_bytes = NUMBER("queue-bytes");
    def->queue_age_ms = NUMBER("queue-age");
#undef NUMBER
#undef FLAG
}

static int read_title(struct remote_def *def, const struct hosts *hosts, char *error, size_t cap)
{
    char pattern[DOMAIN_PATTERN_BYTES];
    const char *why = NULL;
    if (domain_pattern_prepare(option_title(def->section), pattern, &why) != 0)
        return option_error(def->section, NULL, error, cap,
                            "expected a domain such as \"example.net\" or \"*.example.net\" as the title: %s", why);
    if ((why = onion_fault(pattern)) != NULL)
        return option_error(def->section, NULL, error, cap, "expected another title than \"%s\": %s", pattern, why);
    if (hosts_find(hosts, pattern) || hosts_component(hosts, pattern))
        return option_error(def->section, NULL, error, cap, "expected another server's domain: \"%s\" is served here",
                            pattern);
    def->pattern = mem_strdup(pattern);
    return 0;
}

/* How the section goes with what one of our domains says otherwise. */
static int check_rules(const struct remote_def *def, const struct s2s_rules *rules, char *error, size_t cap)
{
    const char *listed = rules->trust ? domain_map_get(rules->trust, def->pattern) : NULL;
    const bool secure = def->secure >= 0 ? def->secure == 1 : listed ? listed == S2S_RULE_SECURE : rules->base.secure;
    const bool dialback = def->dialback >= 0 ? def->dialback == 1 : rules->base.dialback;
    const struct option_section *s = def->section;
    if (def->secure >= 0 && listed && (def->secure == 1) != (listed == S2S_RULE_SECURE))
        return option_error(s, "secure-auth", error, cap, "\"%s\" is in %s", def->pattern, listed);
    if (!def->onion && def->encrypt == 0 && secure)
        return option_error(s, "require-encryption", error, cap,
                            "expected \"secure-auth = false\" beside it: without encryption there is no certificate");
    if (!def->onion && !secure && !dialback)
        return option_error(s, def->dialback == 0 ? "dialback" : "secure-auth", error, cap,
                            "expected \"%s = true\" beside it: without both nothing can prove the domain",
                            def->dialback == 0 ? "secure-auth" : "dialback");
    if (def->onion && rules->enabled && !def->has_proxy && !rules->has_proxy)
        return option_error(
            s, NULL, error, cap,
            "expected s2s-proxy = \"127.0.0.1:9050\" at the top level, or the like: an onion address can "
            "be reached through the SOCKS5 proxy of Tor only");
    return 0;
}

struct check {
    const struct remote_def *def;
    const struct hosts *hosts;
    char *error;
    size_t cap;
    bool failed;
};

static void check_host(const struct host *host, void *arg)
{
    struct check *check = arg;
    if (!check->failed) check->failed = check_rules(check->def, &host->s2s, check->error, check->cap) != 0;
}

/* Others are under the rules of a host. */
static void check_component(const struct component_def *component, void *arg)
{
    struct check *check = arg;
    if (!check->failed && !component->parent)
        check->failed =
            check_rules(check->def, hosts_s2s_rules(check->hosts, component->domain), check->error, check->cap) != 0;
}

static int add(struct remote_defs *defs, const struct hosts *hosts, const struct option_section *s, char *error,
               size_t cap)
{
    struct remote_def *def = &defs->list[defs->count++];
    struct check check = {.def = def, .hosts = hosts, .error = error, .cap = cap};
    def->section = s;
    read_numbers(def);
    if (read_title(def, hosts, error, cap) != 0 || read_pins(def, error, cap) != 0 ||
        read_places(def, error, cap) != 0 || read_proxy(def, error, cap) != 0 || read_onion(def, error, cap) != 0)
        return -1;
    if (domain_map_set(defs->by_pattern, def->pattern, def))
        return option_error(s, NULL, error, cap, "the domain \"%s\" has a section already", def->pattern);
    hosts_each(hosts, check_host, &check);
    hosts_each_component(hosts, check_component, &check);
    return check.failed ? -1 : 0;
}

struct remote_defs *remote_defs_new(const struct option_file *file, const struct hosts *hosts, char *error, size_t cap)
{
    struct remote_defs *defs = MEM_NEW(struct remote_defs);
    const struct option_section *s = NULL;
    size_t count = 0;
    while ((s = option_next(file, "remote", s)) != NULL)
        count++;
    defs->by_pattern = domain_map_new();
    defs->list = mem_alloc((count + 1) * sizeof(struct remote_def));
    while ((s = option_next(file, "remote", s)) != NULL) {
        if (add(defs, hosts, s, error, cap) == 0) continue;
        remote_defs_free(&defs);
        return NULL;
    }
    return defs;
}

static void def_clear(struct remote_def *def)
{
    for (size_t i = 0; i < def->place_count; i++)
        free(def->places[i].name);
    free(def->places);
    free(def->pins);
    free(def->pattern);
}

void remote_defs_free(struct remote_defs **defs)
{
    struct remote_defs *d = *defs;
    if (!d) return;
    *defs = NULL;
    for (size_t i = 0; i < d->count; i++)
        def_clear(&d->list[i]);
    domain_map_free(&d->by_pattern);
    free(d->list);
    free(d);
}

const struct remote_def *remote_defs_find(const struct remote_defs *defs, const char *domain)
{
    return domain_map_find(defs->by_pattern, domain);
}
