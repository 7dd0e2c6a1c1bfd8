#include "backend/sasl_mechanism.h"

#include <string.h>

/* EXTERNAL (RFC 4422 appendix A) by the client's certificate (RFC 6120 section 13.7.1.4, XEP-0178 section 2). */
struct external_state {
    char local[JID_PART_MAX_BYTES + 1];
};

static bool external_offered(const struct sasl_env *env)
{
    return env->external_count > 0;
}

static bool is_proven(const struct sasl_env *env, const char *local)
{
    for (size_t i = 0; i < env->external_count; i++)
        if (strcmp(env->external[i], local) == 0) return true;
    return false;
}

/* Whom the client wants to be.  NULL, or the failure condition. */
static const char *choose(const struct sasl_env *env, const char *authzid, char local[JID_PART_MAX_BYTES + 1])
{
    if (authzid[0] == '\0') {
        if (env->external_count != 1) return "invalid-authzid"; /* it has to say which one */
        memcpy(local, env->external[0], strlen(env->external[0]) + 1);
        return NULL;
    }
    struct jid *jid = jid_parse(authzid, strlen(authzid), NULL);
    const bool own =
        jid && jid->local && !jid->resource && strcmp(jid->domain, env->domain) == 0 && is_proven(env, jid->local);
    if (own) memcpy(local, jid->local, strlen(jid->local) + 1);
    jid_free(&jid);
    return own ? NULL : "invalid-authzid";
}

/* The certificate is the proof; only the account must exist. */
static void external_with_keys(struct sasl *sasl, const struct sasl_keys *keys)
{
    if (keys->exists) {
        sasl_prove(sasl, keys, NULL, 0);
    } else {
        sasl_fail(sasl, "not-authorized");
    }
}

static void external_message(struct sasl *sasl, const char *text, size_t len)
{
    struct external_state *state = sasl_state(sasl);
    const char *condition = memchr(text, '\0', len) ? "malformed-request" : choose(sasl_env(sasl), text, state->local);
    if (condition) {
        sasl_fail(sasl, condition);
    } else {
        sasl_get_keys(sasl, state->local, external_with_keys);
    }
}

const struct sasl_mechanism SASL_EXTERNAL = {
    .name = "EXTERNAL",
    .hash = SASL_ANY_HASH,
    .offered = external_offered,
    .state_bytes = sizeof(struct external_state),
    .message = external_message,
};
