#include "backend/sasl.h"

#include "backend/key_shapes.h"
#include "backend/sasl_mechanism.h"
#include "backend/scram.h"
#include "lib/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { SASL_MAGIC = 0x7361736c, MESSAGE_MAX_BYTES = 4096 };

/* In order of preference. */
static const struct sasl_mechanism *const MECHANISMS[] = {
    &SASL_EXTERNAL,      &SASL_SCRAM_SHA_512_PLUS, &SASL_SCRAM_SHA_256_PLUS, &SASL_SCRAM_SHA_1_PLUS,
    &SASL_SCRAM_SHA_512, &SASL_SCRAM_SHA_256,      &SASL_SCRAM_SHA_1,        &SASL_PLAIN,
    &SASL_ANONYMOUS,
};

/* Which hash PLAIN compares with, of those that an account has: the cheapest good one. */
static const int CHEAPEST[STORE_HASHES] = {STORE_HASH_SHA256, STORE_HASH_SHA512, STORE_HASH_SHA1};

/* Invariant: waiting is true while the store or an offload thread holds a pointer to us, telling counts the calls of fn
 * that are under way; sasl_free then only sets orphan (env may not be touched any more), and their end frees.  tick is
 * armed while an attempt has to wait. */
struct sasl {
    unsigned magic;
    bool busy, over, waiting;
    atomic_bool orphan; /* also read by the offload thread */
    unsigned telling;
    const struct sasl_env *env;
    const struct sasl_mechanism *mechanism; /* NULL: unknown or not offered */
    void *state;
    sasl_fn *fn;
    void *arg;
    const char *binding;                /* see sasl_bound */
    char local[JID_PART_MAX_BYTES + 1]; /* of the account; "": not said yet */
    struct lockout_key key;             /* since sasl_admit */
    struct deadline tick;
    int64_t wait_ms, delayed_ms;
    void (*go)(struct sasl *sasl); /* after the wait */
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
    if (!env->encrypted || (mechanism->plus && !has_binding(env))) return false;
    return mechanism->offered ? mechanism->offered(env) : (env->hashes & 1U << mechanism->hash) != 0;
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
    atomic_store(&sasl->orphan, true);
    deadline_disarm(&sasl->tick);
    if (!sasl->waiting && sasl->telling == 0) destroy(sasl);
}

/* arrived - the pointer that the store or a thread held is back; false when nobody wants it any more. */
static bool arrived(struct sasl *sasl)
{
    CHECK_MAGIC(sasl, SASL_MAGIC);
    CHECK(sasl->waiting);
    sasl->waiting = false;
    if (!atomic_load(&sasl->orphan)) return true;
    destroy(sasl);
    return false;
}

/* tell - the answer, with what is known about whoever asks. */
static void tell(struct sasl *sasl, struct sasl_result result)
{
    CHECK(sasl->busy && !sasl->waiting);
    sasl->busy = false;
    sasl->over = result.status != SASL_CHALLENGE;
    if (sasl->local[0] != '\0') result.local = sasl->local;
    result.delayed_ms = sasl->delayed_ms;
    sasl->telling++;
    sasl->fn(&result, sasl->arg);
    sasl->telling--;
    if (atomic_load(&sasl->orphan) && !sasl->waiting && sasl->telling == 0) destroy(sasl);
}

void sasl_bound(struct sasl *sasl, const char *type)
{
    sasl->binding = type;
}

void sasl_challenge(struct sasl *sasl, const void *data, size_t len)
{
    tell(sasl, (struct sasl_result){.status = SASL_CHALLENGE, .data = data, .len = len});
}

static void fail_because(struct sasl *sasl, const char *condition, enum sasl_cause cause)
{
    tell(sasl, (struct sasl_result){.status = SASL_FAILURE, .condition = condition, .cause = cause});
}

void sasl_fail(struct sasl *sasl, const char *condition)
{
    fail_because(sasl, condition, SASL_CAUSE_OTHER);
}

void sasl_prove(struct sasl *sasl, const struct sasl_keys *keys, const void *data, size_t len)
{
    if (keys->disabled) {
        fail_because(sasl, "account-disabled", SASL_CAUSE_DISABLED);
        return;
    }
    if (sasl->key.limits) lockout_succeeded(sasl->env->lockout, &sasl->key, loop_now_ms(sasl->env->loop));
    tell(sasl, (struct sasl_result){.status = SASL_SUCCESS, .data = data, .len = len, .binding = sasl->binding});
}

void sasl_welcome(struct sasl *sasl, const char *local)
{
    memcpy(sasl->local, local, strlen(local) + 1);
    tell(sasl, (struct sasl_result){.status = SASL_SUCCESS, .temporary = true});
}

void sasl_guessed(struct sasl *sasl)
{
    const enum lockout_verdict locked = lockout_failed(sasl->env->lockout, &sasl->key, loop_now_ms(sasl->env->loop));
    tell(sasl,
         (struct sasl_result){
             .status = SASL_FAILURE, .condition = "not-authorized", .cause = SASL_CAUSE_PASSWORD, .locked = locked});
}

void sasl_mismatched(struct sasl *sasl)
{
    fail_because(sasl, "not-authorized", SASL_CAUSE_BINDING);
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

static int cheapest(const uint32_t iterations[STORE_HASHES])
{
    for (size_t i = 0; i < STORE_HASHES; i++)
        if (iterations[CHEAPEST[i]] > 0) return CHEAPEST[i];
    return CHEAPEST[0];
}

/* choose_keys - the account's (NULL: there is none), or made-up ones.  What is made up is always made, so that it takes
 * as long either way. */
static void choose_keys(const struct sasl *sasl, const struct store_account *account, struct sasl_keys *out)
{
    const struct sasl_env *env = sasl->env;
    char *bare = mem_asprintf("%s@%s", sasl->local, env->domain);
    const uint64_t dice = scram_dice(env->secret, env->secret_len, bare);
    struct store_shape shape = key_shapes_choose(env->shapes, env->domain, dice, env->iterations);
    bool has_keys = false;
    for (int hash = 0; account && hash < STORE_HASHES; hash++)
        has_keys = has_keys || account->keys[hash].key_len > 0;
    for (int hash = 0; has_keys && hash < STORE_HASHES; hash++)
        shape.iterations[hash] = account->keys[hash].key_len > 0 ? account->keys[hash].iterations : 0;
    const int hash = sasl->mechanism->hash == SASL_ANY_HASH ? cheapest(shape.iterations) : sasl->mechanism->hash;
    /* A hash that the account has not, made up or not, is answered as by one made today. */
    const bool has_hash = shape.iterations[hash] > 0;
    *out = (struct sasl_keys){.hash = hash};
    out->scram.iterations = has_hash ? shape.iterations[hash] : env->iterations;
    out->scram.salt_len = has_hash ? shape.salt_len[hash] : SCRAM_SALT_BYTES;
    scram_fake_keys(env->secret, env->secret_len, bare, hash, &out->scram);
    free(bare);
    out->real = account && account->keys[hash].key_len > 0;
    if (out->real) out->scram = account->keys[hash];
    for (int other = 0; has_keys && other < STORE_HASHES; other++)
        if (account->keys[other].key_len == 0) out->lacking |= 1U << other;
    out->exists = account != NULL;
    out->disabled = account && account->disabled;
}

static void on_account(enum store_status status, const struct store_account *account, void *arg)
{
    struct sasl *sasl = arg;
    struct sasl_keys keys;

    if (!arrived(sasl)) return;
    if (status != STORE_OK && status != STORE_NOT_FOUND) {
        sasl_fail(sasl, "temporary-auth-failure");
        return;
    }
    choose_keys(sasl, status == STORE_OK ? account : NULL, &keys);
    sasl->keys_fn(sasl, &keys);
    mem_wipe(&keys, sizeof keys);
}

void sasl_get_keys(struct sasl *sasl, const char *local, sasl_keys_fn *fn)
{
    if (local != sasl->local) memcpy(sasl->local, local, strlen(local) + 1);
    sasl->keys_fn = fn;
    sasl->waiting = true;
    store_account_get(sasl->env->store, sasl->env->mailbox, local, sasl->env->domain, on_account, sasl);
}

/* go_on - the wait is over.  Only now is it asked whether the password may be looked at: others may have failed
 * meanwhile. */
static void go_on(struct sasl *sasl)
{
    switch (lockout_check(sasl->env->lockout, &sasl->key, loop_now_ms(sasl->env->loop))) {
    case LOCKOUT_OPEN:
        sasl->go(sasl);
        return;
    case LOCKOUT_SOURCE:
        fail_because(sasl, "temporary-auth-failure", SASL_CAUSE_SOURCE_LOCKED);
        return;
    case LOCKOUT_ACCOUNT:
        fail_because(sasl, "temporary-auth-failure", SASL_CAUSE_ACCOUNT_LOCKED);
        return;
    }
}

void sasl_on_tick(struct deadline *deadline, void *arg)
{
    struct sasl *sasl = CONTAINER_OF(deadline, struct sasl, tick);
    (void)arg;
    CHECK_MAGIC(sasl, SASL_MAGIC);
    sasl->wait_ms -= SASL_TICK_MS;
    if (sasl->wait_ms > 0) {
        deadline_arm(sasl->env->ticks, &sasl->tick);
    } else {
        go_on(sasl);
    }
}

void sasl_admit(struct sasl *sasl, const char *local, void (*go)(struct sasl *sasl))
{
    const struct sasl_env *env = sasl->env;
    if (local != sasl->local) memcpy(sasl->local, local, strlen(local) + 1);
    char *bare = mem_asprintf("%s@%s", local, env->domain);
    sasl->key = lockout_key(env->limits, env->peer, bare);
    free(bare);
    sasl->go = go;
    sasl->wait_ms = sasl->delayed_ms = lockout_delay_ms(env->lockout, &sasl->key, loop_now_ms(env->loop));
    if (sasl->wait_ms > 0) {
        deadline_arm(env->ticks, &sasl->tick);
    } else {
        go_on(sasl);
    }
}

/* Who has gone away meanwhile costs nothing any more. */
static void run_work(void *arg)
{
    const struct sasl *sasl = arg;

    if (!atomic_load(&sasl->orphan)) sasl->work(sasl->state);
}

static void on_work_done(void *arg)
{
    struct sasl *sasl = arg;

    if (arrived(sasl)) sasl->work_done(sasl);
}

static void on_work_dropped(void *arg)
{
    struct sasl *sasl = arg;

    if (arrived(sasl)) fail_because(sasl, "temporary-auth-failure", SASL_CAUSE_BUSY);
}

void sasl_run(struct sasl *sasl, void (*work)(void *state), void (*done)(struct sasl *sasl))
{
    sasl->work = work;
    sasl->work_done = done;
    sasl->waiting = true;
    const struct offload_job job = {.source = sasl->key.source ? sasl->key.source : sasl->key.account,
                                    .reply_to = sasl->env->mailbox,
                                    .work = run_work,
                                    .done = on_work_done,
                                    .dropped = on_work_dropped,
                                    .arg = sasl};
    if (offload_post(sasl->env->offload, &job) == 0) return;
    sasl->waiting = false;
    fail_because(sasl, "temporary-auth-failure", SASL_CAUSE_BUSY);
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
