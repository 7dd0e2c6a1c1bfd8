#include "backend/s2s_policy.h"

#include "backend/domain_map.h"
#include "backend/host.h"
#include "backend/onion.h"
#include "backend/remote_def.h"
#include "backend/s2s_rules.h"

static void apply_numbers(const struct remote_def *def, struct s2s_policy *policy)
{
    if (def->stanza_bytes >= 0) policy->stanza_bytes = (size_t)def->stanza_bytes;
    if (def->stanza_rate >= 0) policy->stanza_rate = def->stanza_rate;
    if (def->byte_rate >= 0) policy->byte_rate = def->byte_rate;
    if (def->streams >= 0) policy->streams = (unsigned)def->streams;
    if (def->idle_ms >= 0) policy->idle_ms = def->idle_ms;
    if (def->resume_ms >= 0) policy->resume_ms = def->resume_ms;
    if (def->queue_messages >= 0) policy->queue_messages = (size_t)def->queue_messages;
    if (def->queue_bytes >= 0) policy->queue_bytes = (size_t)def->queue_bytes;
    if (def->queue_age_ms >= 0) policy->queue_age_ms = def->queue_age_ms;
}

static void apply(const struct remote_def *def, struct s2s_policy *policy)
{
    if (def->encrypt >= 0) policy->encrypt = def->encrypt == 1;
    if (def->secure >= 0) policy->secure = def->secure == 1;
    if (def->dialback >= 0) policy->dialback = def->dialback == 1;
    if (def->dane >= 0) policy->dane = def->dane == 1;
    policy->places = def->places;
    policy->place_count = def->place_count;
    policy->pins = def->pin_count > 0 ? (const uint8_t(*)[S2S_PIN_BYTES])def->pins : NULL;
    policy->pin_count = def->pin_count;
    apply_numbers(def, policy);
}

/* A host that is an onion service itself hides where it is: it never connects directly, but where somebody says so. */
static bool choose_proxy(const struct s2s_rules *rules, const struct remote_def *def, bool hides,
                         struct s2s_policy *policy)
{
    if (def && def->has_proxy) {
        policy->proxy = &def->proxy;
    } else if (!(def && def->direct) && rules->has_proxy && (rules->proxy_all || policy->onion || hides)) {
        policy->proxy = &rules->proxy;
    }
    const bool needs = policy->onion || (hides && !(def && def->direct));
    return policy->proxy || !needs;
}

bool s2s_policy_of(const struct hosts *hosts, const char *local, const char *remote, struct s2s_policy *policy,
                   enum s2s_failure *failure)
{
    const struct s2s_rules *rules = hosts_s2s_rules(hosts, local);
    if (!rules || !rules->enabled) {
        *failure = S2S_DISABLED;
        return false;
    }
    if (!s2s_rules_admit(rules, remote)) {
        *failure = S2S_DENIED;
        return false;
    }
    *policy = rules->base;
    const char *listed = rules->trust ? domain_map_find(rules->trust, remote) : NULL;
    if (listed) policy->secure = listed == S2S_RULE_SECURE;
    const struct remote_def *def = remote_defs_find(hosts_remote_defs(hosts), remote);
    if (def) apply(def, policy);
    policy->onion = onion_is(remote) || (def && def->onion);
    if (policy->onion) {
        policy->encrypt = policy->secure = policy->dane = false;
        policy->dialback = true;
    }
    *failure = S2S_NO_PROXY;
    return choose_proxy(rules, def, onion_is(local), policy);
}

bool s2s_policy_serves(const struct hosts *hosts, const char *domain)
{
    const struct s2s_rules *rules = hosts_s2s_rules(hosts, domain);
    return rules && rules->enabled;
}
