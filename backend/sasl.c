#include "backend/sasl.h"

#include "backend/sasl_mechanism.h"
#include "backend/scram.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

enum { SASL_MAGIC = 0x7361736c, MESSAGE_MAX_BYTES = 4096 };

/* In order of preference. */
static const struct sasl_mechanism *const MECHANISMS[] = {
    &SASL_EXTERNAL,      &SASL_SCRAM_SHA_512_PLUS, &SASL_SCRAM_SHA_256_PLUS, &SASL_SCRAM_SHA_1_PLUS,
    &SASL_SCRAM_SHA_512, &SASL_SCRAM_SHA_256,      &SASL_SCRAM_SHA_1,        &SASL_PLAIN,
};

/* Invariant: waiting is true while the store or an offload thread holds a pointer to us, telling counts the calls of fn
 * that are under way; sasl_free then only sets orphan (env may not be touched any more), and their end frees. */
struct sasl {
    unsigned magic;
    bool busy, over, waiting, orphan;
    unsigned telling;
    const struct sasl_env *env;
    const struct sasl_mechanism *mechanism; /* NULL: unknown or not offered */
    void *state;
    sasl_fn *fn;
    void *arg;
    const char *binding;                /* see sasl_bound */
    char local[JID_PART_MAX_BYTES + 1]; /* of the account that is looked up */
    sasl_keys_fn *keys_fn;
    void (*work)(void *state);
    void (*work_done)(struct sasl *sasl);
};

static bool has_binding(const struct sasl_env *env)
{
    return env->has_exporter || env->end_point_len > 0;
}

static bool offered(const struct sasl_env *env, const struct sasl_mechanism *mechanism)
{
    return env->encrypted && (!mechanism->plus || has_binding(env)) &&
           (!mechanism->external || env->external_count > 0);
}

void sasl_each(const struct sasl_env *env, void (*fn)(const char *name, void *arg), void *arg)
{
    for (size_t i = 0; i < ARRAY_LEN(MECHANISMS); i++) {
        if (offered(env, MECHANISMS[i])) fn(MECHANISMS[i]->name, arg);
    }
}

void sasl_channel_bindings_each(const struct sasl_env *env, void (*fn)(const char *type, void *arg), void *arg)
{
    if (!env->encrypted) return;
    if (env->has_exporter) fn("tls-exporter", arg);
    if (env->end_point_len > 0) fn("tls-server-end-point", arg);
}

static void destroy(struct sasl *sasl)
{
    if (sasl->mechanism && sasl->state) {
        if (sasl->mechanism->clear) sasl->mechanism->clear(sasl->state);
        mem_wipe(sasl->state, sasl->mechanism->state_bytes);
        free(sasl->state);
    }
    sasl->magic = 0;
    free(sasl);
}

void sasl_free(struct sasl **sasl_place)
{
    struct sasl *sasl = *sasl_place;

    if (!sasl) return;
    CHECK_MAGIC(sasl, SASL_MAGIC);
    *sasl_place = NULL;
    sasl->orphan = true;
    if (!sasl->waiting && sasl->telling == 0) destroy(sasl);
}

/* arrived - the pointer that the store or a thread held is back; false when nobody wants it any more. */
static bool arrived(struct sasl *sasl)
{
    CHECK_MAGIC(sasl, SASL_MAGIC);
    CHECK(sasl->waiting);
    sasl->waiting = false;
    if (!sasl->orphan) return true;
    destroy(sasl);
    return false;
}

static void tell(struct sasl *sasl, const struct sasl_result *result)
{
    CHECK(sasl->busy && !sasl->waiting);
    sasl->busy = false;
    sasl->over = result->status != SASL_CHALLENGE;
    sasl->telling++;
    sasl->fn(result, sasl->arg);
    sasl->telling--;
    if (sasl->orphan && !sasl->waiting && sasl->telling == 0) destroy(sasl);
}

void sasl_bound(struct sasl *sasl, const char *type)
{
    sasl->binding = type;
}

void sasl_challenge(struct sasl *sasl, const void *data, size_t len)
{
    tell(sasl, &(struct sasl_result){.status = SASL_CHALLENGE, .data = data, .len = len});
}

void sasl_succeed(struct sasl *sasl, const char *local, const void *data, size_t len)
{
    tell(sasl, &(struct sasl_result){
                   .status = SASL_SUCCESS, .data = data, .len = len, .local = local, .binding = sasl->binding});
}

void sasl_fail(struct sasl *sasl, const char *condition)
{
    tell(sasl, &(struct sasl_result){.status = SASL_FAILURE, .condition = condition});
}

void *sasl_state(struct sasl *sasl)
{
    return sasl->state;
}

const struct sasl_env *sasl_env(const struct sasl *sasl)
{
    return sasl->env;
}

const struct sasl_mechanism *sasl_mechanism(const struct sasl *sasl)
{
    return sasl->mechanism;
}

static void give_message(struct sasl *sasl, const uint8_t *data, size_t len)
{
    if (!sasl->mechanism) {
        sasl_fail(sasl, "invalid-mechanism");
        return;
    }
    if (sasl->over || len > MESSAGE_MAX_BYTES) {
        sasl_fail(sasl, "malformed-request");
        return;
    }
    /* A copy: the sasl may be freed, and with it the caller's buffer, by the answer.  It may hold a password. */
    char *text = mem_alloc(len + 1);
    if (len > 0) memcpy(text, data, len);
    sasl->mechanism->message(sasl, text, len);
    mem_wipe(text, len);
    free(text);
}

struct sasl *sasl_start(const struct sasl_env *env, const char *mechanism, const uint8_t *initial, size_t len,
                        sasl_fn *fn, void *arg)
{
    struct sasl *sasl = MEM_NEW(struct sasl);

    sasl->magic = SASL_MAGIC;
    sasl->env = env;
    sasl->fn = fn;
    sasl->arg = arg;
    sasl->busy = true;
    for (size_t i = 0; i < ARRAY_LEN(MECHANISMS); i++) {
        if (strcmp(MECHANISMS[i]->name, mechanism) == 0 && offered(env, MECHANISMS[i])) sasl->mechanism = MECHANISMS[i];
    }
    if (sasl->mechanism) sasl->state = mem_alloc(sasl->mechanism->state_bytes);
    /* Every mechanism here begins with the client (RFC 4422 section 3.3): without an initial response it is asked. */
    if (sasl->mechanism && !initial)
        sasl_challenge(sasl, "", 0);
    else
        give_message(sasl, initial, len);
    return sasl;
}

void sasl_respond(struct sasl *sasl, const uint8_t *data, size_t len)
{
    CHECK_MAGIC(sasl, SASL_MAGIC);
    CHECK(!sasl->busy);
    sasl->busy = true;
    give_message(sasl, data, len);
}

static void on_account(enum store_status status, const struct store_account *account, void *arg)
{
    struct sasl *sasl = arg;
    struct store_scram_keys fake[STORE_HASHES];

    if (!arrived(sasl)) return;
    if (status != STORE_OK && status != STORE_NOT_FOUND) {
        sasl_fail(sasl, "temporary-auth-failure");
        return;
    }
    int hash = sasl->mechanism->hash;
    if (status == STORE_OK && account->keys[hash].key_len > 0) {
        sasl->keys_fn(sasl, &account->keys[hash], true);
        return;
    }
    char *bare = mem_asprintf("%s@%s", sasl->local, sasl->env->domain);
    scram_fake_keys(sasl->env->secret, sasl->env->secret_len, bare, fake);
    free(bare);
    sasl->keys_fn(sasl, &fake[hash], false);
}

void sasl_get_keys(struct sasl *sasl, const char *local, sasl_keys_fn *fn)
{
    memcpy(sasl->local, local, strlen(local) + 1);
    sasl->keys_fn = fn;
    sasl->waiting = true;
    store_account_get(sasl->env->store, sasl->env->mailbox, local, sasl->env->domain, on_account, sasl);
}

static void run_work(void *arg)
{
    const struct sasl *sasl = arg;

    sasl->work(sasl->state);
}

static void on_work_done(void *arg)
{
    struct sasl *sasl = arg;

    if (arrived(sasl)) sasl->work_done(sasl);
}

void sasl_run(struct sasl *sasl, void (*work)(void *state), void (*done)(struct sasl *sasl))
{
    sasl->work = work;
    sasl->work_done = done;
    sasl->waiting = true;
    if (offload_post(sasl->env->offload, sasl->env->mailbox, run_work, on_work_done, sasl) == 0) return;
    sasl->waiting = false;
    sasl_fail(sasl, "temporary-auth-failure");
}

const char *sasl_prepare_names(const struct sasl *sasl, const char *authcid, const char *authzid,
                               char local[JID_PART_MAX_BYTES + 1])
{
    const char *why;

    if (jid_prepare_local(authcid, local, &why) != 0) return "not-authorized";
    if (!authzid || authzid[0] == '\0') return NULL;
    struct jid *jid = jid_parse(authzid, strlen(authzid), &why);
    bool own = jid && jid->local && !jid->resource && strcmp(jid->local, local) == 0 &&
               strcmp(jid->domain, sasl->env->domain) == 0;
    jid_free(&jid);
    return own ? NULL : "invalid-authzid";
}
