#include "backend/user_call.h"

#include "backend/shard.h"
#include "backend/user.h"

#include <stdlib.h>

/* On its way to the owner, then in user->calls. */
struct user_call {
    struct list link;
    struct shard *owner;
    char *bare;
    user_call_fn *fn;
    void *arg;
};

static void on_arrival(void *arg)
{
    struct user_call *call = arg;
    struct user *user = user_get(call->owner, call->bare);
    user_hold(user);
    list_append(&user->calls, &call->link);
    user_load(user);
    user_resume(user);
}

void user_call(struct shard *owner, const char *bare, user_call_fn *fn, void *arg)
{
    struct user_call *call = MEM_NEW(struct user_call);
    *call = (struct user_call){.owner = owner, .bare = mem_strdup(bare), .fn = fn, .arg = arg};
    mailbox_post(owner->mailbox, on_arrival, call);
}

static struct user_call *take(struct user *user)
{
    struct list *link = list_first(&user->calls);
    list_remove(link);
    return LIST_ENTRY(link, struct user_call, link);
}

static void call_free(struct user_call *call)
{
    free(call->bare);
    free(call);
}

void user_call_next(struct user *user, struct user *answer)
{
    struct user_call *call = take(user);
    call->fn(answer, call->arg);
    call_free(call);
}

void user_call_drop(struct user *user)
{
    LIST_EACH (link, &user->calls) {
        list_remove(link);
        call_free(LIST_ENTRY(link, struct user_call, link));
    }
}

static void on_appeared(struct user *user, void *arg)
{
    (void)arg;
    if (user && !user->exists) user->stale = true;
}

void user_appeared(struct shard *owner, const char *bare)
{
    user_call(owner, bare, on_appeared, NULL);
}
