#include "backend/user_records.h"

#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "backend/user.h"

#include <stdlib.h>

struct user_records_job {
    struct user *user;
    struct stanza *request;
    user_records_fn *fn;
    void *arg;
};

void user_records_refuse(struct user *user, const struct stanza *request, enum store_status status)
{
    enum stanza_error error = STANZA_ERROR_INTERNAL_SERVER_ERROR;
    if (status == STORE_FULL) error = STANZA_ERROR_RESOURCE_CONSTRAINT;
    if (status == STORE_NOT_FOUND) error = STANZA_ERROR_NOT_ALLOWED; /* the account has just been deleted, or a guest */
    stanza_error_answer(user->shard, request, error, NULL);
}

static void on_changed(enum store_status status, void *arg)
{
    struct user_records_job *job = arg;
    if (status != STORE_OK) user_records_refuse(job->user, job->request, status);
    job->fn(job->user, job->request, status == STORE_OK, job->arg);
    stanza_free(&job->request);
    user_resume(job->user);
    free(job);
}

void user_records_change(struct user *user, const struct stanza *request, const struct store_record *changes,
                         size_t count, user_records_fn *fn, void *arg)
{
    if (user->temporary) {
        fn(user, request, true, arg);
        return;
    }
    struct user_records_job *job = MEM_NEW(struct user_records_job);
    job->user = user;
    job->request = stanza_copy(request);
    job->fn = fn;
    job->arg = arg;
    user_hold(user);
    store_records_change(user->shard->backend->store, user->shard->mailbox, user->bare, changes, count, on_changed,
                         job);
}
