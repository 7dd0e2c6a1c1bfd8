#include "backend/account.h"

#include "backend/backend_config.h"
#include "backend/host.h"
#include "backend/jid.h"
#include "backend/key_shapes.h"
#include "backend/lockout.h"
#include "backend/scram.h"
#include "backend/shard.h"
#include "backend/user.h"

#include <stdlib.h>
#include <string.h>

enum { PASSWORD_BYTES = 1024 };

struct account_job {
    struct backend *backend;
    enum account_action action;
    struct jid *jid;
    char password[PASSWORD_BYTES]; /* prepared */
    uint32_t iterations;
    struct store_account account;
    account_fn *fn;
    void *arg;
};

static void finish(struct account_job *job, const char *code, const char *text)
{
    job->fn(code, text, job->arg);
    jid_free(&job->jid);
    mem_wipe(job, sizeof(*job));
    free(job);
}

static bool has_password(enum account_action action)
{
    return action == ACCOUNT_ADD || action == ACCOUNT_SET_PASSWORD;
}

/* What others have to know of a change that is durable. */
static void tell(const struct account_job *job)
{
    struct backend *backend = job->backend;
    const struct store_scram_keys *keys = has_password(job->action) ? job->account.keys : NULL;
    if (backend->key_shapes) key_shapes_changed(backend->key_shapes, job->jid->domain, keys);
    if (job->action == ACCOUNT_ADD || job->action == ACCOUNT_ENABLE) return;
    if (job->action == ACCOUNT_SET_PASSWORD) lockout_forgive_account(backend->lockout, job->jid->bare);
    user_end_streams(shard_of(backend, job->jid->bare), job->jid->bare,
                     job->action == ACCOUNT_SET_PASSWORD ? "reset" : "not-authorized");
}

static void on_stored(enum store_status status, void *arg)
{
    struct account_job *job = arg;
    switch (status) {
    case STORE_OK:
        tell(job);
        finish(job, NULL, NULL);
        return;
    case STORE_NOT_FOUND:
        finish(job, "not-found", "there is no such account");
        return;
    case STORE_EXISTS:
        finish(job, "exists", "the account exists already");
        return;
    case STORE_LIMIT: /* of queues only */
    case STORE_FULL:
        finish(job, "internal", "the disk is full");
        return;
    case STORE_FAILED:
        finish(job, "internal", "the store failed; see the log");
        return;
    }
}

static void store(struct account_job *job)
{
    struct backend *backend = job->backend;
    struct mailbox *reply_to = backend->shards[0]->mailbox;
    switch (job->action) {
    case ACCOUNT_ADD:
        store_account_add(backend->store, reply_to, &job->account, on_stored, job);
        return;
    case ACCOUNT_SET_PASSWORD:
        store_account_set_keys(backend->store, reply_to, &job->account, on_stored, job);
        return;
    case ACCOUNT_DELETE:
        store_account_del(backend->store, reply_to, job->jid->local, job->jid->domain, on_stored, job);
        return;
    case ACCOUNT_DISABLE:
    case ACCOUNT_ENABLE:
        store_account_set_disabled(backend->store, reply_to, job->jid->local, job->jid->domain,
                                   job->action == ACCOUNT_DISABLE, on_stored, job);
        return;
    }
}

static void hash(void *arg)
{
    struct account_job *job = arg;
    scram_make_keys(job->password, job->iterations, job->account.keys);
}

/* A server that stops hashes and stores no more, and has no control socket any more on which to answer. */
static void on_hashed(void *arg)
{
    struct account_job *job = arg;
    if (backend_is_stopping(job->backend)) {
        finish(job, "unavailable", "the server is stopping");
    } else {
        store(job);
    }
}

static void on_dropped(void *arg)
{
    finish(arg, "unavailable", "the server is stopping");
}

static bool post_hashing(struct account_job *job)
{
    struct backend *backend = job->backend;
    const struct offload_job offloaded = {
        .reply_to = backend->shards[0]->mailbox, .work = hash, .done = on_hashed, .dropped = on_dropped, .arg = job};
    return offload_post(backend->offload, &offloaded) == 0;
}

/* What is wrong with the request: the code, and *text; NULL: nothing. */
static const char *check(struct account_job *job, const char *jid, const char *password, const char **text)
{
    *text = NULL;
    job->jid = jid ? jid_parse(jid, strlen(jid), text) : NULL;
    if (!job->jid || !job->jid->local || job->jid->resource) {
        if (!*text) *text = "expected an address such as user@example.com";
        return "usage";
    }
    if (!hosts_find(shard_hosts(job->backend->shards[0]), job->jid->domain)) {
        *text = "that host is not served here";
        return "not-found";
    }
    if (job->action == ACCOUNT_ADD && !jid_local_is_acceptable(job->jid->local, text)) return "usage";
    if (!has_password(job->action)) return NULL;
    if (!password || scram_prepare_password(password, job->password, sizeof(job->password)) != 0) {
        *text = "the password is empty, too long, or has characters that are not allowed";
        return "usage";
    }
    memcpy(job->account.local, job->jid->local, strlen(job->jid->local) + 1);
    memcpy(job->account.domain, job->jid->domain, strlen(job->jid->domain) + 1);
    return NULL;
}

void account_change(struct backend *backend, enum account_action action, const char *jid, const char *password,
                    account_fn *fn, void *arg)
{
    struct account_job *job = MEM_NEW(struct account_job);
    const char *text = NULL;
    job->backend = backend;
    job->action = action;
    job->fn = fn;
    job->arg = arg;
    job->iterations = shard_config(backend->shards[0])->scram_iterations;
    const char *code = check(job, jid, password, &text);
    if (code) {
        finish(job, code, text);
    } else if (!has_password(action)) {
        store(job);
    } else if (!post_hashing(job)) {
        finish(job, "unavailable", "too many passwords are being hashed already");
    }
}
