#include "backend/sasl_mechanism.h"

#include "backend/key_renewal.h"
#include "backend/scram.h"

#include <openssl/crypto.h>
#include <string.h>

/* PLAIN (RFC 4616): the password itself, under TLS only. */
struct plain_state {
    char local[JID_PART_MAX_BYTES + 1];
    char password[2048]; /* prepared */
    struct sasl_keys keys;
    bool matches;
};

static bool plain_offered(const struct sasl_env *env)
{
    return env->plain;
}

/* plain_work - on an offload thread: the same for an account that does not exist. */
static void plain_work(void *arg)
{
    struct plain_state *state = arg;
    const struct store_scram_keys *keys = &state->keys.scram;
    struct store_scram_keys derived = {.iterations = keys->iterations, .salt_len = keys->salt_len};

    memcpy(derived.salt, keys->salt, derived.salt_len);
    scram_derive(state->keys.hash, state->password, &derived);
    bool same = CRYPTO_memcmp(derived.stored_key, keys->stored_key, derived.key_len) == 0;
    state->matches = same && state->keys.real;
    OPENSSL_cleanse(&derived, sizeof derived);
}

static void plain_work_done(struct sasl *sasl)
{
    const struct plain_state *state = sasl_state(sasl);

    if (!state->matches) {
        sasl_guessed(sasl);
        return;
    }
    if (state->keys.lacking && !state->keys.disabled)
        key_renewal_begin(sasl_env(sasl), state->local, state->password, &state->keys);
    sasl_prove(sasl, &state->keys, NULL, 0);
}

static void plain_with_keys(struct sasl *sasl, const struct sasl_keys *keys)
{
    struct plain_state *state = sasl_state(sasl);

    state->keys = *keys;
    sasl_run(sasl, plain_work, plain_work_done);
}

static void plain_admitted(struct sasl *sasl)
{
    const struct plain_state *state = sasl_state(sasl);

    sasl_get_keys(sasl, state->local, plain_with_keys);
}

/* plain_message - authzid NUL authcid NUL password. */
static void plain_message(struct sasl *sasl, const char *text, size_t len)
{
    struct plain_state *state = sasl_state(sasl);
    const char *end = text + len, *authcid = memchr(text, '\0', len);
    const char *password = authcid ? memchr(authcid + 1, '\0', (size_t)(end - authcid - 1)) : NULL;

    if (!password || memchr(password + 1, '\0', (size_t)(end - password - 1)) || password + 1 == end ||
        authcid + 1 == password) {
        sasl_fail(sasl, "malformed-request");
        return;
    }
    const char *condition = sasl_prepare_names(sasl, authcid + 1, text, state->local);
    if (!condition && scram_prepare_password(password + 1, state->password, sizeof state->password) != 0)
        condition = "not-authorized";
    if (condition)
        sasl_fail(sasl, condition);
    else
        sasl_admit(sasl, state->local, plain_admitted);
}

const struct sasl_mechanism SASL_PLAIN = {
    .name = "PLAIN",
    .hash = SASL_ANY_HASH,
    .offered = plain_offered,
    .state_bytes = sizeof(struct plain_state),
    .message = plain_message,
};
