#include "backend/user.h"

#include "backend/shard.h"
#include "backend/stream.h"

#include <stdlib.h>
#include <time.h>

enum { USER_MAGIC = 0x75736572 };

struct user *user_find(struct shard *shard, const char *bare)
{
    struct user *user = map_get_str(shard->users, bare);
    if (user) CHECK_MAGIC(user, USER_MAGIC);
    return user;
}

struct user *user_get(struct shard *shard, const char *bare)
{
    struct user *user = user_find(shard, bare);
    if (user) return user;
    user = MEM_NEW(struct user);
    user->magic = USER_MAGIC;
    user->shard = shard;
    user->bare = mem_strdup(bare);
    list_init(&user->streams);
    list_init(&user->sessions);
    map_set_str(shard->users, bare, user);
    return user;
}

void user_release(struct user *user)
{
    if (!list_empty(&user->streams) || !list_empty(&user->sessions) || user->cut_off_ms != 0) return;
    map_del_str(user->shard->users, user->bare);
    deadline_disarm(&user->forget);
    free(user->bare);
    user->magic = 0;
    free(user);
}

struct cut_off {
    struct shard *shard;
    char *bare;
    const char *condition;
};

/* Not the time of the loop's turn: that may be before an exchange on another shard has begun. */
static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void on_cut_off(void *arg)
{
    struct cut_off *c = arg;
    struct user *user = user_get(c->shard, c->bare);
    user->cut_off_ms = now_ms();
    deadline_arm(c->shard->forget, &user->forget);
    LIST_EACH (link, &user->streams) {
        stream_fail(LIST_ENTRY(link, struct stream, user_link), END_ACCOUNT_CHANGED, c->condition, NULL);
    }
    free(c->bare);
    free(c);
}

void user_end_streams(struct shard *owner, const char *bare, const char *condition)
{
    struct cut_off *c = MEM_NEW(struct cut_off);
    c->shard = owner;
    c->bare = mem_strdup(bare);
    c->condition = condition;
    mailbox_post(owner->mailbox, on_cut_off, c);
}

void user_on_forget(struct deadline *deadline, void *shard)
{
    (void)shard;
    struct user *user = CONTAINER_OF(deadline, struct user, forget);
    CHECK_MAGIC(user, USER_MAGIC);
    user->cut_off_ms = 0;
    user_release(user);
}
