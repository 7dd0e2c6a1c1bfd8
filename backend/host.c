#include "backend/host.h"

#include "backend/backend_config.h"
#include "backend/component_def.h"
#include "backend/jid.h"
#include "backend/onion.h"
#include "backend/remote_def.h"
#include "backend/server_trust.h"
#include "lib/log.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/option.h"
#include "lib/tls.h"
#include "lib/tls_ask.h"
#include "lib/tls_client.h"

#include <ctype.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hosts {
    atomic_uint refs;
    struct backend_config *config;
    struct host *list;
    size_t count;
    struct map *by_domain, *by_server_name;
    struct component_defs *components;
    struct s2s_rules s2s; /* of components that are below no host */
    struct remote_defs *remotes;
    struct server_trust *trust;
};

enum { SERVER_NAME_BYTES = 256 };

/* As TLS clients send it: lower case, without a trailing dot. */
static const char *normal(const char *name, char out[SERVER_NAME_BYTES])
{
    size_t len = strlen(name);
    if (len > 0 && name[len - 1] == '.') len--;
    if (len >= SERVER_NAME_BYTES) len = SERVER_NAME_BYTES - 1;
    for (size_t i = 0; i < len; i++)
        out[i] = (char)tolower((unsigned char)name[i]);
    out[len] = '\0';
    return out;
}

static int claim(struct hosts *hosts, struct host *host, const char *name, char *error, size_t cap)
{
    char text[SERVER_NAME_BYTES];
    const struct host *other = map_get_str(hosts->by_server_name, normal(name, text));
    if (other == host) return 0;
    if (other) {
        return option_error(host->section, NULL, error, cap, "the server name \"%s\" belongs to host \"%s\" already",
                            text, other->domain);
    }
    map_set_str(hosts->by_server_name, text, host);
    return 0;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_admins(struct host *host, char *error, size_t cap)
{
    const size_t count = option_count(host->section, "admins");
    host->admins = mem_alloc((count + 1) * sizeof(char *));
    for (size_t i = 0; i < count; i++) {
        const char *text = option_item(host->section, "admins", i), *why = NULL;
        struct jid *jid = jid_parse(text, strlen(text), &why);
        if (!jid || !jid->local || jid->resource) {
            jid_free(&jid);
            return option_error(host->section, "admins", error, cap,
                                "expected addresses such as \"user@example.com\", not \"%s\"%s%s", text,
                                why ? ": " : "", why ? why : "");
        }
        host->admins[host->admin_count++] = mem_strdup(jid->bare);
        jid_free(&jid);
    }
    qsort(host->admins, host->admin_count, sizeof(char *), compare_texts);
    return 0;
}

/* RFC 6120 section 4.9.3.19: a name or an address, in brackets if it is one of IPv6, with a port or without. */
static bool is_place(const char *text)
{
    char host[SERVER_NAME_BYTES], prepared[JID_PART_MAX_BYTES + 1];
    const char *bracket = strrchr(text, ']');
    const char *colon = strchr(bracket ? bracket : text, ':');
    const size_t len = colon ? (size_t)(colon - text) : strlen(text);
    if (len >= sizeof(host)) return false;
    memcpy(host, text, len);
    host[len] = '\0';
    if (jid_prepare_domain(host, prepared, NULL) != 0) return false;
    if (!colon) return true;
    const size_t digits = strspn(colon + 1, "0123456789");
    if (digits == 0 || digits > 5 || colon[1 + digits] != '\0') return false;
    const long port = strtol(colon + 1, NULL, 10);
    return port > 0 && port <= UINT16_MAX;
}

static int read_settings(struct host *host, char *error, size_t cap)
{
    host->messages_to_all = option_enum(host->section, "message-delivery") == 1;
    host->offline_messages = (size_t)option_int(host->section, "offline-messages");
    host->offline_bytes = (size_t)option_int(host->section, "offline-bytes");
    host->offline_expire_ms = option_int(host->section, "offline-expire");
    host->archive = option_bool(host->section, "archive");
    host->archive_default = (enum archive_default)option_enum(host->section, "archive-default");
    host->archive_expire_ms = option_int(host->section, "archive-expire");
    host->archive_messages = (uint64_t)option_int(host->section, "archive-messages");
    host->archive_bytes = (uint64_t)option_int(host->section, "archive-bytes");
    host->conflict = (enum host_conflict)option_enum(host->section, "resource-conflict");
    client_limits_read(&host->limits, option_top(host->hosts->config->file), host->section);
    host->see_other_host = option_str(host->section, "see-other-host");
    if (!host->see_other_host || is_place(host->see_other_host)) return 0;
    return option_error(host->section, "see-other-host", error, cap,
                        "expected a name or an address, with a port or without, such as \"xmpp.example.net:5222\"");
}

static int add(struct hosts *hosts, struct host *host, char *error, size_t cap)
{
    char domain[JID_PART_MAX_BYTES + 1], ascii[SERVER_NAME_BYTES];
    const char *why = NULL;
    const char *title = option_title(host->section);
    if (jid_prepare_domain(title, domain, &why) != 0)
        return option_error(host->section, NULL, error, cap,
                            "expected a domain such as \"example.com\" as the title: %s", why);
    if ((why = onion_fault(domain)) != NULL)
        return option_error(host->section, NULL, error, cap, "expected another title than \"%s\": %s", title, why);
    host->domain = mem_strdup(domain);
    if (sasl_policy_read(&host->sasl, host->section, error, cap) != 0) return -1;
    if (registration_policy_read(&host->registration, host->section, error, cap) != 0) return -1;
    if (s2s_rules_read(&host->s2s, option_top(hosts->config->file), host->section, error, cap) != 0) return -1;
    if (onion_is(domain) && host->s2s.enabled && !host->s2s.has_proxy)
        return option_error(host->section, NULL, error, cap,
                            "expected s2s-proxy = \"127.0.0.1:9050\", the SOCKS5 proxy of Tor, by which a host with an "
                            "onion address reaches other servers; or s2s = false");
    if (map_get_str(hosts->by_domain, domain))
        return option_error(host->section, NULL, error, cap, "the domain \"%s\" has a section already", domain);
    map_set_str(hosts->by_domain, domain, host);
    if (claim(hosts, host, jid_domain_ascii(domain, ascii) == 0 ? ascii : domain, error, cap) != 0) return -1;
    for (size_t i = 0; i < option_count(host->section, "server-names"); i++)
        if (claim(hosts, host, option_item(host->section, "server-names", i), error, cap) != 0) return -1;
    if (read_settings(host, error, cap) != 0) return -1;
    return add_admins(host, error, cap);
}

struct hosts *hosts_new(struct backend_config *config, char *error, size_t cap)
{
    struct hosts *hosts = MEM_NEW(struct hosts);
    const struct option_file *file = config->file;
    atomic_init(&hosts->refs, 1);
    hosts->config = backend_config_ref(config);
    const struct option_section *s = NULL;
    hosts->by_domain = map_new();
    hosts->by_server_name = map_new();
    while ((s = option_next(file, "host", s)) != NULL)
        hosts->count++;
    CHECK(hosts->count > 0);
    hosts->list = mem_alloc(hosts->count * sizeof(struct host));
    for (size_t i = 0; i < hosts->count; i++) {
        s = hosts->list[i].section = option_next(file, "host", i == 0 ? NULL : s);
        hosts->list[i].hosts = hosts;
        if (add(hosts, &hosts->list[i], error, cap) == 0) continue;
        hosts_unref(&hosts);
        return NULL;
    }
    hosts->trust = server_trust_new(option_str(option_top(file), "s2s-ca"), option_str(option_top(file), "s2s-crl"));
    hosts->components = component_defs_new(file, hosts, error, cap);
    if (!hosts->components || s2s_rules_read(&hosts->s2s, option_top(file), NULL, error, cap) != 0 ||
        !(hosts->remotes = remote_defs_new(file, hosts, error, cap)))
        hosts_unref(&hosts);
    return hosts;
}

struct hosts *hosts_ref(struct hosts *hosts)
{
    atomic_fetch_add_explicit(&hosts->refs, 1, memory_order_relaxed);
    return hosts;
}

static void host_clear(struct host *host)
{
    SSL_CTX_free(host->tls);
    SSL_CTX_free(host->tls_servers);
    registration_policy_clear(&host->registration);
    s2s_rules_clear(&host->s2s);
    for (size_t i = 0; i < host->admin_count; i++)
        free(host->admins[i]);
    free(host->admins);
    free((void *)(uintptr_t)host->domain);
}

void hosts_unref(struct hosts **hosts)
{
    struct hosts *h = *hosts;
    *hosts = NULL;
    if (!h || atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) > 1) return;
    for (size_t i = 0; i < h->count; i++)
        host_clear(&h->list[i]);
    component_defs_free(&h->components);
    remote_defs_free(&h->remotes);
    server_trust_free(&h->trust);
    s2s_rules_clear(&h->s2s);
    backend_config_unref(&h->config);
    map_free(&h->by_domain);
    map_free(&h->by_server_name);
    free(h->list);
    free(h);
}

void host_point(const struct host **slot, const struct host *host)
{
    struct hosts *old = *slot ? (*slot)->hosts : NULL;
    if (host) hosts_ref(host->hosts);
    *slot = host;
    hosts_unref(&old);
}

bool hosts_hides(const struct hosts *hosts, const char *domain)
{
    if (!onion_is(domain)) return false;
    const struct host *host = hosts_find(hosts, domain);
    return !host || !option_is_set(host->section, "certificate");
}

/* The first one that does not hide, or that does; if there is none, the first. */
const struct host *hosts_first(const struct hosts *hosts, bool hides)
{
    for (size_t i = 0; i < hosts->count; i++)
        if (hosts_hides(hosts, hosts->list[i].domain) == hides) return &hosts->list[i];
    return &hosts->list[0];
}

static const struct host *by_server_name(const struct hosts *hosts, const char *name)
{
    char text[SERVER_NAME_BYTES];
    const struct host *host = name ? map_get_str(hosts->by_server_name, normal(name, text)) : NULL;
    return host && !hosts_hides(hosts, host->domain) ? host : NULL;
}

/* Without a server name that somebody has, the host that the handshake began for. */
static const struct host *meant(const struct host *mine, const char *sni)
{
    const struct host *named = by_server_name(mine->hosts, sni);
    return named ? named : mine;
}

/* A server may mean a component, which has the certificate of the host above it. */
static struct tls_choice choose_for_server(SSL *hello, const char *sni, void *arg)
{
    const struct host *mine = arg;
    char domain[JID_PART_MAX_BYTES + 1];
    const struct component_def *def = NULL;
    (void)hello;
    if (sni && !by_server_name(mine->hosts, sni) && jid_prepare_domain(sni, domain, NULL) == 0)
        def = hosts_component(mine->hosts, domain);
    const struct host *host = def && def->parent ? hosts_find(mine->hosts, def->parent) : meant(mine, sni);
    return (struct tls_choice){.ctx = (host->tls ? host : mine)->tls_servers, .alpn = "xmpp-server"};
}

/* Servers come to the clients' ports as well; what is asked of clients is not asked of them. */
static struct tls_choice choose(SSL *hello, const char *sni, void *arg)
{
    const struct host *mine = arg;
    if (!tls_hello_offers(hello, "xmpp-client") && tls_hello_offers(hello, "xmpp-server"))
        return choose_for_server(hello, sni, arg);
    return (struct tls_choice){.ctx = meant(mine, sni)->tls, .alpn = "xmpp-client"};
}

static PRINTF_LIKE(2, 3) void warn(const struct host *host, const char *fmt, ...)
{
    char what[SERVER_NAME_BYTES + 64], text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    (void)option_error(host->section, "certificate", text, sizeof(text), "%s", what);
    log_msg(LOG_LEVEL_WARN, "certificate", "%s", text);
}

static void check_leaf(const struct host *host, void *arg)
{
    (void)arg;
    char ascii[SERVER_NAME_BYTES];
    const char *name = jid_domain_ascii(host->domain, ascii) == 0 ? ascii : host->domain;
    X509 *leaf = host->tls ? SSL_CTX_get0_certificate(host->tls) : NULL;
    if (!leaf) return;
    if (X509_check_host(leaf, name, 0, 0, NULL) != 1) warn(host, "the certificate is not for %s", name);
    if (X509_cmp_current_time(X509_get0_notAfter(leaf)) < 0) warn(host, "the certificate has expired");
    if (X509_cmp_current_time(X509_get0_notBefore(leaf)) > 0) warn(host, "the certificate is not valid yet");
}

void hosts_warn_of_certificates(const struct hosts *hosts)
{
    hosts_each(hosts, check_leaf, NULL);
}

/* client-certificate: none, optional or required. */
static int ask_clients(struct host *host, char *error, size_t cap)
{
    char why[512];
    const int ask = option_enum(host->section, "client-certificate");
    if (ask == 0) return 0;
    host->asks_certificate = true;
    host->requires_certificate = ask == 2;
    const char *path = option_str(host->section, "client-ca");
    if (tls_ask_client(host->tls, ask == 2 ? TLS_ASK_REQUIRED : TLS_ASK_OPTIONAL, path, why, sizeof(why)) == 0)
        return 0;
    return option_error(host->section, "client-ca", error, cap, "%s", why);
}

static int serve_servers(struct host *host, enum tls_profile profile, char *error, size_t cap)
{
    host->tls_servers = tls_client_ctx(host->tls, profile);
    if (host->tls_servers) return 0;
    return option_error(host->section, "certificate", error, cap, "OpenSSL cannot be set up: %s", tls_error());
}

/* Authorities that nobody has named may be missing: then no other server can prove itself, and the log says so. */
static int load_trust(struct hosts *hosts, char *error, size_t cap)
{
    char why[512];
    const struct option_section *top = option_top(hosts->config->file);
    const char *ca = option_str(top, "s2s-ca");
    if (!option_is_set(top, "s2s-ca") && !option_is_set(top, "s2s-crl")) return 0;
    if (server_trust_check(hosts->trust, why, sizeof(why)) == 0) return 0;
    const bool of_ca = strncmp(why, ca, strlen(ca)) == 0; /* the text begins with the file at fault */
    return option_error(top, of_ca ? "s2s-ca" : "s2s-crl", error, cap, "%s", why);
}

int hosts_load_certificates(struct hosts *hosts, char *error, size_t cap)
{
    char why[512];
    if (load_trust(hosts, error, cap) != 0) return -1;
    for (size_t i = 0; i < hosts->count; i++) {
        struct host *host = &hosts->list[i];
        const char *certificate = option_str(host->section, "certificate"), *key = option_str(host->section, "key");
        const enum tls_profile profile = option_enum(host->section, "tls-profile") == 1 ? TLS_MODERN : TLS_INTERMEDIATE;
        host->tls = certificate ? tls_server_ctx(certificate, key, profile, why, sizeof(why)) : NULL;
        if (host->tls || !certificate) {
            if (ask_clients(host, error, cap) != 0 || serve_servers(host, profile, error, cap) != 0) return -1;
            continue;
        }
        const bool of_key = strncmp(why, key, strlen(key)) == 0; /* the text begins with the file at fault */
        return option_error(host->section, of_key ? "key" : "certificate", error, cap, "%s", why);
    }
    for (size_t i = 0; i < hosts->count; i++) {
        if (hosts->list[i].tls) tls_set_chooser(hosts->list[i].tls, choose, &hosts->list[i]);
        tls_set_chooser(hosts->list[i].tls_servers, choose_for_server, &hosts->list[i]);
    }
    return 0;
}

struct backend_config *hosts_config(const struct hosts *hosts)
{
    return hosts->config;
}

void hosts_each(const struct hosts *hosts, void (*fn)(const struct host *host, void *arg), void *arg)
{
    for (size_t i = 0; i < hosts->count; i++)
        fn(&hosts->list[i], arg);
}

bool host_is_admin(const struct host *host, const char *bare)
{
    return bsearch(&bare, host->admins, host->admin_count, sizeof(char *), compare_texts) != NULL;
}

const struct host *hosts_find(const struct hosts *hosts, const char *domain)
{
    return map_get_str(hosts->by_domain, domain);
}

const struct host *hosts_by_server_name(const struct hosts *hosts, const char *name)
{
    const struct host *host = by_server_name(hosts, name);
    return host ? host : hosts_first(hosts, false);
}

const struct component_def *hosts_component(const struct hosts *hosts, const char *domain)
{
    return component_defs_find(hosts->components, domain);
}

void hosts_each_component(const struct hosts *hosts, void (*fn)(const struct component_def *def, void *arg), void *arg)
{
    component_defs_each(hosts->components, fn, arg);
}

const struct s2s_rules *hosts_s2s_rules(const struct hosts *hosts, const char *domain)
{
    const struct host *host = hosts_find(hosts, domain);
    if (host) return &host->s2s;
    const struct component_def *def = hosts_component(hosts, domain);
    if (!def) return NULL;
    return def->parent ? &hosts_find(hosts, def->parent)->s2s : &hosts->s2s;
}

const struct remote_defs *hosts_remote_defs(const struct hosts *hosts)
{
    return hosts->remotes;
}

SSL_CTX *hosts_tls(const struct hosts *hosts)
{
    return hosts_first(hosts, false)->tls;
}

/* Whose certificate is for local: a component has none of its own, but a host may have its name as a server name. */
static const struct host *certified_for(const struct hosts *hosts, const char *local)
{
    char ascii[SERVER_NAME_BYTES];
    const struct host *host = local ? hosts_find(hosts, local) : NULL;
    if (host) return host;
    host = local ? by_server_name(hosts, jid_domain_ascii(local, ascii) == 0 ? ascii : local) : NULL;
    if (host) return host;
    const struct component_def *def = local ? hosts_component(hosts, local) : NULL;
    host = def && def->parent ? hosts_find(hosts, def->parent) : NULL;
    return host ? host : hosts_first(hosts, local && hosts_hides(hosts, local));
}

SSL_CTX *hosts_tls_server(const struct hosts *hosts, const char *local)
{
    const struct host *host = certified_for(hosts, local);
    return host->tls ? host->tls_servers : NULL;
}

SSL_CTX *hosts_tls_client(const struct hosts *hosts, const char *local)
{
    return certified_for(hosts, local)->tls_servers;
}

struct server_trust *hosts_trust(const struct hosts *hosts)
{
    return hosts->trust;
}
