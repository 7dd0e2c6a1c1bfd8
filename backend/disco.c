#include "backend/disco.h"

#include "backend/archive.h"
#include "backend/contact.h"
#include "backend/data_form.h"
#include "backend/dispatch.h"
#include "backend/host.h"
#include "backend/ns.h"
#include "backend/software.h"
#include "lib/option.h"

#include <string.h>

/* The words of feature.def. */
enum { HOST = DISPATCH_HOST, SELF = DISPATCH_SELF, OTHERS = DISPATCH_OTHERS };

static const struct {
    const char *var;
    unsigned scopes;
} FEATURES[] = {
#define FEATURE(var, scopes) {var, scopes},
#include "backend/feature.def"
#undef FEATURE
};

static void add_identity(struct elem *query, const char *category, const char *type, const char *name)
{
    struct elem *identity = elem_add(query, NULL, "identity");
    elem_set(identity, "category", category);
    elem_set(identity, "type", type);
    elem_set(identity, "name", name);
}

static bool has_feature(const struct elem *query, const char *var)
{
    const struct elem *feature = elem_child(query, NULL, "feature");
    for (; feature; feature = elem_next_element(feature))
        if (strcmp(elem_get(feature, "var"), var) == 0) return true;
    return false;
}

/* A namespace may have a row for each kind of stanza; twice the same feature would spoil the hash of XEP-0115. */
static void add_feature(const char *var, void *query)
{
    if (!has_feature(query, var)) elem_set(elem_add(query, NULL, "feature"), "var", var);
}

static void add_features(enum dispatch_scope scope, struct elem *query)
{
    dispatch_each_feature(scope, add_feature, query);
    for (size_t i = 0; i < ARRAY_LEN(FEATURES); i++)
        if (FEATURES[i].scopes & scope) add_feature(FEATURES[i].var, query);
}

static void add_software(const struct host *host, struct elem *query)
{
    char os[SOFTWARE_OS_BYTES];
    struct elem *form = data_form_add(query, "result", NS_SOFTWARE_INFO);
    if (option_bool(host->section, "announce-os")) data_form_field(form, "os", NULL, NULL, software_os(os));
    data_form_field(form, "software", NULL, NULL, SOFTWARE_NAME);
    if (option_bool(host->section, "announce-version"))
        data_form_field(form, "software_version", NULL, NULL, POSTERN_VERSION);
}

void disco_host(const struct host *host, struct elem *query)
{
    add_identity(query, "server", "im", SOFTWARE_NAME);
    add_features(DISPATCH_HOST, query);
    if (host->offline_messages > 0) add_feature("msgoffline", query); /* XEP-0160 section 4 */
    contact_add_form(host, query);
    add_software(host, query);
}

/* XEP-0313 section 7, XEP-0359 section 5 */
static void add_archive(struct elem *query)
{
    static const char *const VARS[] = {NS_MAM, NS_MAM_EXTENDED, NS_MAM_GROUPCHAT, NS_RSM, NS_SID};
    for (size_t i = 0; i < ARRAY_LEN(VARS); i++)
        add_feature(VARS[i], query);
}

void disco_account(const struct user *user, bool own, struct elem *query)
{
    add_identity(query, "account", "registered", NULL);
    add_features(own ? DISPATCH_SELF : DISPATCH_OTHERS, query);
    if (own && archive_host(user)) add_archive(query);
}
