#include "backend/component_def.h"

#include "backend/host.h"
#include "backend/jid.h"
#include "lib/mem.h"
#include "lib/option.h"

#include <stdlib.h>
#include <string.h>

enum { SECRET_MIN_BYTES = 8 };

struct component_defs {
    size_t count;
    struct component_def *list;
};

/* A component has a stream, and so a listener for it. */
static bool has_listener(const struct option_file *file)
{
    const struct option_section *s = NULL;
    while ((s = option_next(file, "listener", s)) != NULL)
        if (option_enum(s, "serve") == 1) return true;
    return false;
}

static const char *find_parent(const struct hosts *hosts, const char *domain)
{
    for (const char *dot = strchr(domain, '.'); dot; dot = strchr(dot + 1, '.')) {
        const struct host *host = hosts_find(hosts, dot + 1);
        if (host) return host->domain;
    }
    return NULL;
}

static int add(struct component_defs *defs, const struct option_section *s, const struct hosts *hosts, char *error,
               size_t cap)
{
    char domain[JID_PART_MAX_BYTES + 1];
    const char *why = NULL;
    struct component_def *def = &defs->list[defs->count];
    if (jid_prepare_domain(option_title(s), domain, &why) != 0)
        return option_error(s, NULL, error, cap, "expected a domain such as \"chat.example.com\" as the title: %s",
                            why);
    if (hosts_find(hosts, domain) || component_defs_find(defs, domain))
        return option_error(s, NULL, error, cap, "the domain \"%s\" has a section already", domain);
    def->secret = option_str(s, "secret");
    if (!def->secret || strlen(def->secret) < SECRET_MIN_BYTES)
        return option_error(s, "secret", error, cap, "expected at least %d characters that nobody can guess",
                            SECRET_MIN_BYTES);
    def->domain = mem_strdup(domain);
    def->parent = find_parent(hosts, domain);
    def->replaces = option_enum(s, "conflict") == 1;
    defs->count++;
    return 0;
}

struct component_defs *component_defs_new(const struct option_file *file, const struct hosts *hosts, char *error,
                                          size_t cap)
{
    struct component_defs *defs = MEM_NEW(struct component_defs);
    const struct option_section *s = NULL;
    size_t count = 0;
    while ((s = option_next(file, "component", s)) != NULL)
        count++;
    defs->list = mem_alloc((count + 1) * sizeof(struct component_def));
    while ((s = option_next(file, "component", s)) != NULL) {
        const bool reachable = has_listener(file);
        if (!reachable)
            (void)option_error(s, NULL, error, cap,
                               "expected a listener for it: listener \"components\" { address = \"127.0.0.1:5347\" "
                               "serve = components }");
        if (reachable && add(defs, s, hosts, error, cap) == 0) continue;
        component_defs_free(&defs);
        return NULL;
    }
    return defs;
}

void component_defs_free(struct component_defs **defs)
{
    struct component_defs *d = *defs;
    if (!d) return;
    *defs = NULL;
    for (size_t i = 0; i < d->count; i++)
        free(d->list[i].domain);
    free(d->list);
    free(d);
}

const struct component_def *component_defs_find(const struct component_defs *defs, const char *domain)
{
    for (size_t i = 0; i < defs->count; i++)
        if (strcmp(defs->list[i].domain, domain) == 0) return &defs->list[i];
    return NULL;
}

void component_defs_each(const struct component_defs *defs, void (*fn)(const struct component_def *def, void *arg),
                         void *arg)
{
    for (size_t i = 0; i < defs->count; i++)
        fn(&defs->list[i], arg);
}
