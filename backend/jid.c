#include "backend/jid.h"

#include "backend/jid_prep.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

/* A part that may be missing: at is NULL then. */
struct part {
    const char *at;
    size_t len;
};

static struct part part_of(const char *text)
{
    return (struct part){text, text ? strlen(text) : 0};
}

static char *put(char *at, const char *text, size_t len)
{
    memcpy(at, text, len);
    return at + len;
}

/* assemble - one allocation: the struct, the full text, the bare text if that differs, and the local part.  The domain
 * and the resource are the ends of other texts. */
static struct jid *assemble(const char *local, const char *domain, const char *resource)
{
    size_t local_len = local ? strlen(local) : 0, domain_len = strlen(domain);
    size_t resource_len = resource ? strlen(resource) : 0;
    size_t domain_at = local ? local_len + 1 : 0, bare_len = domain_at + domain_len;
    size_t full_len = bare_len + (resource ? resource_len + 1 : 0);
    struct jid *jid = mem_alloc(sizeof(*jid) + full_len + 1 + (resource ? bare_len + 1 : 0) + local_len + 1);
    char *bare = (char *)(jid + 1), *at = bare;
    if (local) {
        at = put(at, local, local_len);
        *at++ = '@';
    }
    at = put(at, domain, domain_len) + 1; /* the memory is zeroed */
    jid->bare = jid->full = bare;
    jid->domain = bare + domain_at;
    if (resource) {
        jid->full = at;
        at = put(at, bare, bare_len);
        *at++ = '/';
        jid->resource = at;
        at = put(at, resource, resource_len) + 1;
    }
    if (local) {
        jid->local = at;
        (void)put(at, local, local_len);
    }
    return jid;
}

static struct jid *prepare(struct part local, struct part domain, struct part resource, const char **why)
{
    char prepared_local[JID_PART_MAX_BYTES + 1], prepared_domain[JID_PART_MAX_BYTES + 1];
    char prepared_resource[JID_PART_MAX_BYTES + 1];
    const char *ignored = NULL;
    if (!why) why = &ignored;
    if (jid_prep_domain(domain.at, domain.len, prepared_domain, why) != 0) return NULL;
    if (local.at && jid_prep_local(local.at, local.len, prepared_local, why) != 0) return NULL;
    if (resource.at && jid_prep_resource(resource.at, resource.len, prepared_resource, why) != 0) return NULL;
    return assemble(local.at ? prepared_local : NULL, prepared_domain, resource.at ? prepared_resource : NULL);
}

struct jid *jid_parse(const char *text, size_t len, const char **why)
{
    struct part local = {0}, domain = {text, len}, resource = {0};
    /* RFC 7622 section 3.2: first the resource is taken off, since it may contain "@". */
    const char *slash = len ? memchr(text, '/', len) : NULL;
    if (slash) {
        domain.len = (size_t)(slash - text);
        resource = (struct part){slash + 1, len - domain.len - 1};
    }
    const char *at = domain.len ? memchr(text, '@', domain.len) : NULL;
    if (at) {
        local = (struct part){text, (size_t)(at - text)};
        domain = (struct part){at + 1, domain.len - local.len - 1};
    }
    return prepare(local, domain, resource, why);
}

struct jid *jid_new(const char *local, const char *domain, const char *resource, const char **why)
{
    return prepare(part_of(local), part_of(domain), part_of(resource), why);
}

struct jid *jid_with_resource(const struct jid *jid, const char *resource, const char **why)
{
    char prepared[JID_PART_MAX_BYTES + 1];
    const char *ignored = NULL;
    if (!resource) return assemble(jid->local, jid->domain, NULL);
    if (jid_prep_resource(resource, strlen(resource), prepared, why ? why : &ignored) != 0) return NULL;
    return assemble(jid->local, jid->domain, prepared);
}

struct jid *jid_dup(const struct jid *jid)
{
    return assemble(jid->local, jid->domain, jid->resource);
}

void jid_free(struct jid **jid)
{
    free(*jid);
    *jid = NULL;
}

bool jid_equal(const struct jid *a, const struct jid *b)
{
    return strcmp(a->full, b->full) == 0;
}

bool jid_bare_equal(const struct jid *a, const struct jid *b)
{
    return strcmp(a->bare, b->bare) == 0;
}

int jid_prepare_domain(const char *text, char *out, const char **why)
{
    const char *ignored = NULL;
    return jid_prep_domain(text, strlen(text), out, why ? why : &ignored);
}

int jid_prepare_local(const char *text, char *out, const char **why)
{
    const char *ignored = NULL;
    return jid_prep_local(text, strlen(text), out, why ? why : &ignored);
}
