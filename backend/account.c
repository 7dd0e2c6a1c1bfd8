#include "backend/account.h"

#include "backend/backend_config.h"
#include "backend/host.h"
#include "backend/jid.h"
#include "backend/key_shapes.h"
#include "backend/lockout.h"
#include "backend/scram.h"
#include "backend/shard.h"
#include "backend/subscription.h"
#include "backend/user.h"
#include "backend/user_call.h"

#include <stdlib.h>
#include <string.h>

enum { PASSWORD_BYTES = 1024 };

struct account_job {
    struct shard *here;
    enum account_action action;
    struct jid *jid;
    char *keep;
    uint64_t source;
    char password[PASSWORD_BYTES]; /* prepared */
    uint32_t iterations;
    struct store_account account;
    struct user *user; /* pinned on its shard while it is deleted */
    enum store_status status;
    account_fn *fn;
    void *arg;
};

static void finish(struct account_job *job, const char *code, const char *text)
{
    if (job->fn) job->fn(code, text, job->arg);
    jid_free(&job->jid);
    free(job->keep);
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
    struct backend *backend = job->here->backend;
    const struct store_scram_keys *keys = has_password(job->action) ? job->account.keys : NULL;
    if (backend->key_shapes) key_shapes_changed(backend->key_shapes, job->jid->domain, keys);
    if (job->action == ACCOUNT_ADD) user_appeared(shard_of(backend, job->jid->bare), job->jid->bare);
    if (job->action == ACCOUNT_ADD || job->action == ACCOUNT_ENABLE) return;
    if (job->action == ACCOUNT_SET_PASSWORD) lockout_forgive_account(backend->lockout, job->jid->bare);
    user_end_streams(shard_of(backend, job->jid->bare), job->jid->bare,
                     job->action == ACCOUNT_SET_PASSWORD ? "reset" : "not-authorized", job->keep);
}

static void done(struct account_job *job)
{
    /* who deletes his own account has his answer before his stream ends */
    if (job->action == ACCOUNT_DELETE) {
        job->fn(NULL, NULL, job->arg);
        job->fn = NULL;
    }
    tell(job);
    finish(job, NULL, NULL);
}

static void on_stored(enum store_status status, void *arg)
{
    struct account_job *job = arg;
    switch (status) {
    case STORE_OK:
        done(job);
        return;
    case STORE_NOT_FOUND:
        finish(job, "not-found", "there is no such account");
        return;
    case STORE_EXISTS:
        finish(job, "exists", "the account exists already");
        return;
    case STORE_LIMIT: /* of queues only */
    case STORE_FULL:
        finish(job, "full", "the disk is full");
        return;
    case STORE_FAILED:
        finish(job, "internal", "the store failed; see the log");
        return;
    }
}

static void on_back(void *arg)
{
    struct account_job *job = arg;
    on_stored(job->status, job);
}

/* On the owner's shard.  The store has answered in order: whatever of the account was written before is in memory. */
static void on_deleted(enum store_status status, void *arg)
{
    struct account_job *job = arg;
    job->status = status;
    if (status == STORE_OK) subscription_end_all(job->user);
    user_unpin(job->user);
    mailbox_post(job->here->mailbox, on_back, job);
}

static void on_owner(void *arg)
{
    struct account_job *job = arg;
    struct shard *owner = shard_of(job->here->backend, job->jid->bare);
    if (backend_is_stopping(owner->backend)) {
        job->status = STORE_FAILED;
        mailbox_post(job->here->mailbox, on_back, job);
        return;
    }
    job->user = user_get(owner, job->jid->bare);
    user_pin(job->user);
    user_load(job->user);
    store_account_del(owner->backend->store, owner->mailbox, job->jid->local, job->jid->domain, on_deleted, job);
}

static void store(struct account_job *job)
{
    struct backend *backend = job->here->backend;
    struct mailbox *reply_to = job->here->mailbox;
    switch (job->action) {
    case ACCOUNT_ADD:
        store_account_add(backend->store, reply_to, &job->account, on_stored, job);
        return;
    case ACCOUNT_SET_PASSWORD:
        store_account_set_keys(backend->store, reply_to, &job->account, on_stored, job);
        return;
    case ACCOUNT_DELETE:
        mailbox_post(shard_of(backend, job->jid->bare)->mailbox, on_owner, job);
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
    if (backend_is_stopping(job->here->backend)) {
        finish(job, "unavailable", "the server is stopping");
    } else {
        store(job);
    }
}

static void on_dropped(void *arg)
{
    finish(arg, "unavailable", "too many passwords are being hashed already");
}

static void post_hashing(struct account_job *job)
{
    const struct offload_job offloaded = {.source = job->source,
                                          .reply_to = job->here->mailbox,
                                          .work = hash,
                                          .done = on_hashed,
                                          .dropped = on_dropped,
                                          .arg = job};
    if (offload_post(job->here->backend->offload, &offloaded) != 0) on_dropped(job);
}

/* What is wrong with the request: the code, and *text; NULL: nothing. */
static const char *check(struct account_job *job, const struct account_order *order, const char **text)
{
    *text = NULL;
    job->jid = order->jid ? jid_parse(order->jid, strlen(order->jid), text) : NULL;
    if (!job->jid || !job->jid->local || job->jid->resource) {
        if (!*text) *text = "expected an address such as user@example.com";
        return "usage";
    }
    if (!hosts_find(shard_hosts(job->here), job->jid->domain)) {
        *text = "that host is not served here";
        return "not-found";
    }
    if (job->action == ACCOUNT_ADD && !jid_local_is_acceptable(job->jid->local, text)) return "usage";
    if (!has_password(job->action)) return NULL;
    if (!order->password || scram_prepare_password(order->password, job->password, sizeof(job->password)) != 0) {
        *text = "the password is empty, too long, or has characters that are not allowed";
        return "usage";
    }
    memcpy(job->account.local, job->jid->local, strlen(job->jid->local) + 1);
    memcpy(job->account.domain, job->jid->domain, strlen(job->jid->domain) + 1);
    return NULL;
}

void account_change(struct shard *here, const struct account_order *order, account_fn *fn, void *arg)
{
    struct account_job *job = MEM_NEW(struct account_job);
    const char *text = NULL;
    job->here = here;
    job->action = order->action;
    job->keep = mem_strdup(order->keep);
    job->source = order->source;
    job->fn = fn;
    job->arg = arg;
    job->iterations = shard_config(here)->scram_iterations;
    const char *code = check(job, order, &text);
    if (code) {
        finish(job, code, text);
    } else if (!has_password(order->action)) {
        store(job);
    } else {
        post_hashing(job);
    }
}
