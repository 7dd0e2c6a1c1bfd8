#include "backend/key_renewal.h"

#include "backend/key_shapes.h"
#include "backend/scram.h"
#include "lib/log.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

struct renewal {
    struct store *store;
    struct mailbox *mailbox;
    struct key_shapes *shapes;
    unsigned lacking; /* bits 1 << STORE_HASH_* */
    uint32_t iterations;
    char *password;
    struct store_account account;
};

static void end(void *arg)
{
    struct renewal *renewal = arg;
    mem_wipe(renewal->password, strlen(renewal->password));
    free(renewal->password);
    mem_wipe(renewal, sizeof(*renewal));
    free(renewal);
}

static void on_stored(enum store_status status, void *arg)
{
    struct renewal *renewal = arg;
    const struct store_account *account = &renewal->account;
    if (status == STORE_OK) {
        log_msg(LOG_LEVEL_INFO, "keys_renewed", "%s@%s has keys of every hash now", account->local, account->domain);
        key_shapes_changed(renewal->shapes, account->domain, NULL);
    }
    end(renewal);
}

static void derive(void *arg)
{
    struct renewal *renewal = arg;
    for (int hash = 0; hash < STORE_HASHES; hash++)
        if (renewal->lacking & 1U << hash)
            scram_make_key(hash, renewal->password, renewal->iterations, &renewal->account.keys[hash]);
}

static void on_derived(void *arg)
{
    struct renewal *renewal = arg;
    store_account_add_keys(renewal->store, renewal->mailbox, &renewal->account, on_stored, renewal);
}

void key_renewal_begin(const struct sasl_env *env, const char *local, const char *prepared_password,
                       const struct sasl_keys *keys)
{
    struct renewal *renewal = MEM_NEW(struct renewal);
    renewal->store = env->store;
    renewal->mailbox = env->mailbox;
    renewal->shapes = env->shapes;
    renewal->lacking = keys->lacking;
    renewal->iterations = env->iterations;
    renewal->password = mem_strdup(prepared_password);
    memcpy(renewal->account.local, local, strlen(local) + 1);
    memcpy(renewal->account.domain, env->domain, strlen(env->domain) + 1);
    renewal->account.keys[keys->hash] = keys->scram;
    const struct offload_job job = {
        .reply_to = env->mailbox, .work = derive, .done = on_derived, .dropped = end, .arg = renewal};
    if (offload_post(env->offload, &job) != 0) end(renewal);
}
