#include "backend/dns_context.h"

#include "backend/backend_config.h"
#include "lib/log.h"
#include "lib/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unbound.h>
#include <unistd.h>

static const char *const FILE_OPTIONS[DNS_FILES] = {"resolv-conf", "hosts", "trust-anchor"};

enum { RESOLV_CONF, HOSTS, TRUST_ANCHOR };
enum { DNSSEC_FALSE, DNSSEC_TRUE, DNSSEC_AUTO }; /* the option's choices */

static const struct option_section *section_of(const struct backend_config *config)
{
    return option_single(config->file, "resolver");
}

/* The name of a file that is in use, or NULL. */
static const char *file_in_use(const struct option_section *s, int i)
{
    if (i == RESOLV_CONF && option_count(s, "servers") > 0) return NULL;
    if (i == TRUST_ANCHOR && option_enum(s, "dnssec") == DNSSEC_FALSE) return NULL;
    return option_str(s, FILE_OPTIONS[i]);
}

int dns_context_each_file(const struct backend_config *config, dns_file_fn *fn, void *arg)
{
    const struct option_section *s = section_of(config);
    int result = 0;
    for (int i = 0; i < DNS_FILES && result == 0; i++)
        if (file_in_use(s, i)) result = fn(s, FILE_OPTIONS[i], arg);
    return result;
}

static void look(struct dns_file *file, const char *path)
{
    struct stat st = {0};
    *file = (struct dns_file){.path = path, .size = -1};
    if (!path || stat(path, &st) != 0) return;
    file->changed = st.st_mtim;
    file->size = st.st_size;
    file->inode = st.st_ino;
}

bool dns_context_is_stale(const struct dns_files *files)
{
    for (int i = 0; i < DNS_FILES; i++) {
        const struct dns_file *then = &files->files[i];
        struct dns_file now;
        look(&now, then->path);
        if (now.size != then->size || now.inode != then->inode || now.changed.tv_sec != then->changed.tv_sec ||
            now.changed.tv_nsec != then->changed.tv_nsec)
            return true;
    }
    return false;
}

static void set(struct ub_ctx *ctx, const char *option, const char *value)
{
    const int result = ub_ctx_set_option(ctx, option, value);
    if (result != 0) log_msg(LOG_LEVEL_WARN, "resolver", "%s %s: %s", option, value, ub_strerror(result));
}

/* A server that was away for a moment shall be missed for seconds, not for a quarter of an hour. */
static void set_options(struct ub_ctx *ctx, bool strict)
{
    set(ctx, "outgoing-range:", "64");
    set(ctx, "infra-keep-probing:", "yes");
    set(ctx, "infra-host-ttl:", "30");
    set(ctx, "infra-cache-max-rtt:", "4000");
    set(ctx, "cache-max-negative-ttl:", "900");
    set(ctx, "harden-dnssec-stripped:", strict ? "yes" : "no");
}

/* read_server - an address with or without port, IPv6 with or without brackets.  false: it is none. */
static bool read_server(const char *item, struct addr *out)
{
    const bool bare = item[0] != '[' && strchr(item, ':') != strrchr(item, ':');
    char *with_port = mem_asprintf(bare ? "[%s]:53" : "%s:53", item);
    struct endpoint server;
    const char *why = NULL;
    const bool right = endpoint_parse(item, &server, &why) == 0 || endpoint_parse(with_port, &server, &why) == 0;
    free(with_port);
    if (!right || server.sa.sa_family == AF_UNIX || addr_is_any(&server.ip) || addr_port(&server.ip) == 0) return false;
    *out = server.ip;
    return true;
}

static void set_server(struct ub_ctx *ctx, const char *item)
{
    char host[INET6_ADDRSTRLEN];
    struct addr server;
    CHECK(read_server(item, &server));
    char *text = mem_asprintf("%s@%u", addr_format_host(&server, host, sizeof(host)), addr_port(&server));
    const int result = ub_ctx_set_fwd(ctx, text);
    if (result != 0) log_msg(LOG_LEVEL_WARN, "resolver", "%s: %s", text, ub_strerror(result));
    free(text);
}

/* The words of a line "nameserver ADDRESS", or "nameserver [ADDRESS]:PORT" as OpenBSD has it. */
static void set_nameserver(struct ub_ctx *ctx, char *words)
{
    char *rest = NULL, *word = strtok_r(words, " \t\r\n", &rest);
    if (!word || strcmp(word, "nameserver") != 0) return;
    char *address = strtok_r(NULL, " \t\r\n", &rest);
    const char *port = "53";
    if (address && *address == '[') {
        char *end = strchr(++address, ']');
        if (!end || (end[1] && end[1] != ':')) return;
        if (end[1]) port = end + 2;
        *end = '\0';
    }
    if (!address) return;
    char *text = mem_asprintf("%s@%s", address, port);
    if (ub_ctx_set_fwd(ctx, text) != 0) log_msg(LOG_LEVEL_WARN, "resolver", "resolv.conf: no address: %s", address);
    free(text);
}

static void read_resolv_conf(struct ub_ctx *ctx, const char *path)
{
    char line[512];
    FILE *file = fopen(path, "re");
    if (!file) {
        log_msg(LOG_LEVEL_WARN, "resolver", "%s: %s: asking the root's name servers", path, strerror(errno));
        return;
    }
    while (fgets(line, sizeof(line), file))
        set_nameserver(ctx, line);
    fclose(file);
}

static void set_servers(struct ub_ctx *ctx, const struct option_section *s)
{
    const char *resolv_conf = file_in_use(s, RESOLV_CONF);
    for (size_t i = 0; i < option_count(s, "servers"); i++)
        set_server(ctx, option_item(s, "servers", i));
    if (resolv_conf) read_resolv_conf(ctx, resolv_conf);
}

/* Everything is checked when the first zone is changed; that makes the context final. */
static struct ub_ctx *try_new(const struct option_section *s, const char *anchor, int *result)
{
    struct ub_ctx *ctx = ub_ctx_create();
    *result = UB_NOMEM;
    if (!ctx) return NULL;
    ub_ctx_debugout(ctx, NULL);
    ub_ctx_async(ctx, 1);
    set_options(ctx, option_enum(s, "dnssec") == DNSSEC_TRUE);
    set_servers(ctx, s);
    if (access(option_str(s, "hosts"), R_OK) == 0) ub_ctx_hosts(ctx, option_str(s, "hosts"));
    if (anchor) ub_ctx_add_ta_file(ctx, anchor);
    /* Private networks have names below these, which libunbound would deny unasked. */
    *result = ub_ctx_zone_add(ctx, "test.", "transparent");
    if (*result == 0) *result = ub_ctx_zone_add(ctx, "home.arpa.", "transparent");
    if (*result != 0) {
        ub_ctx_delete(ctx);
        ctx = NULL;
    }
    return ctx;
}

/* One may read the file, or it is done without. */
static const char *anchor_of(const struct option_section *s)
{
    const char *anchor = file_in_use(s, TRUST_ANCHOR);
    if (!anchor || access(anchor, R_OK) == 0) return anchor;
    log_msg(LOG_LEVEL_WARN, "resolver", "%s: %s: answers of DNS are not validated, and TLSA records not used", anchor,
            strerror(errno));
    return NULL;
}

struct ub_ctx *dns_context_new(const struct backend_config *config, struct dns_files *files, bool *validates, char *why,
                               size_t cap)
{
    const struct option_section *s = section_of(config);
    int result = 0;
    for (int i = 0; i < DNS_FILES; i++)
        look(&files->files[i], file_in_use(s, i));
    const char *anchor = anchor_of(s);
    struct ub_ctx *ctx = try_new(s, anchor, &result);
    if (!ctx && anchor) {
        log_msg(LOG_LEVEL_ERROR, "resolver", "%s: no valid trust anchor: answers of DNS are not validated", anchor);
        anchor = NULL;
        ctx = try_new(s, NULL, &result);
    }
    *validates = anchor != NULL;
    if (!ctx) snprintf(why, cap, "cannot set up libunbound: %s", ub_strerror(result));
    return ctx;
}

int dns_context_check(const struct option_file *file, char *error, size_t cap)
{
    const struct option_section *s = option_single(file, "resolver");
    for (size_t i = 0; i < option_count(s, "servers"); i++) {
        struct addr server;
        const char *item = option_item(s, "servers", i);
        if (read_server(item, &server)) continue;
        return option_error(s, "servers", error, cap,
                            "expected addresses of name servers, with port or without, such as \"192.0.2.53\" or "
                            "\"127.0.0.1:5353\", not \"%s\"",
                            item);
    }
    return 0;
}
