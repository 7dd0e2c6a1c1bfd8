#include "backend/sasl_policy.h"

#include "backend/store.h"
#include "lib/option.h"

#include <string.h>

static const struct {
    const char *name;
    unsigned hashes;
    bool plain;
} WORDS[] = {
    {"SCRAM-SHA-512", 1U << STORE_HASH_SHA512, false},
    {"SCRAM-SHA-256", 1U << STORE_HASH_SHA256, false},
    {"SCRAM-SHA-1", 1U << STORE_HASH_SHA1, false},
    {"PLAIN", 0, true},
};

static bool add(struct sasl_policy *policy, const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(WORDS); i++) {
        if (strcmp(WORDS[i].name, name) != 0) continue;
        policy->hashes |= WORDS[i].hashes;
        policy->plain = policy->plain || WORDS[i].plain;
        return true;
    }
    return false;
}

int sasl_policy_read(struct sasl_policy *policy, const struct option_section *host, char *error, size_t cap)
{
    const size_t count = option_count(host, "mechanisms");
    *policy = (struct sasl_policy){.chosen = count > 0, .anonymous = option_bool(host, "anonymous")};
    if (!policy->chosen) policy->plain = true;
    for (size_t i = 0; i < count; i++) {
        const char *name = option_item(host, "mechanisms", i);
        if (!add(policy, name))
            return option_error(host, "mechanisms", error, cap,
                                "expected SCRAM-SHA-512, SCRAM-SHA-256, SCRAM-SHA-1 or PLAIN, not \"%s\"", name);
    }
    return 0;
}
