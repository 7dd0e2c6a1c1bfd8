#include "backend/registration_policy.h"

#include "backend/jid.h"
#include "lib/mem.h"
#include "lib/option.h"

#include <stdlib.h>
#include <string.h>

int registration_policy_read(struct registration_policy *policy, const struct option_section *host, char *error,
                             size_t cap)
{
    const size_t count = option_count(host, "registration-watchers");
    policy->open = option_enum(host, "registration") == 1;
    policy->may_change = option_bool(host, "password-change");
    policy->may_remove = option_bool(host, "account-removal");
    policy->watchers = mem_alloc(count * sizeof(char *));
    for (size_t i = 0; i < count; i++) {
        const char *text = option_item(host, "registration-watchers", i), *why = NULL;
        struct jid *jid = jid_parse(text, strlen(text), &why);
        if (!jid)
            return option_error(host, "registration-watchers", error, cap,
                                "expected addresses such as \"user@example.com\", not \"%s\": %s", text, why);
        policy->watchers[policy->watcher_count++] = mem_strdup(jid->full);
        jid_free(&jid);
    }
    return 0;
}

void registration_policy_clear(struct registration_policy *policy)
{
    for (size_t i = 0; i < policy->watcher_count; i++)
        free(policy->watchers[i]);
    free(policy->watchers);
    *policy = (struct registration_policy){0};
}
