#include "backend/host_swap.h"

#include "backend/backend_config.h"
#include "backend/component.h"
#include "backend/remote.h"
#include "backend/s2s_desk.h"
#include "backend/shard.h"
#include "backend/stream.h"
#include "backend/user.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* One message to each shard. */
struct swap {
    struct shard *shard;
    struct hosts *hosts;
    struct swap_all *all;
};

struct swap_all {
    atomic_uint pending;
    mailbox_fn *done;
    void *arg;
    struct swap swaps[];
};

/* Those whose host is gone; pinned, for the map may not change while it is walked. */
struct stranded {
    const struct hosts *hosts;
    struct user **users;
    size_t count;
};

static bool find_stranded(const void *key, size_t key_len, void *value, void *arg)
{
    (void)key;
    (void)key_len;
    struct stranded *stranded = arg;
    struct user *user = value;
    const char *at = strchr(user->bare, '@');
    if (!at || hosts_find(stranded->hosts, at + 1) || list_empty(&user->sessions)) return true;
    stranded->users = mem_realloc(stranded->users, (stranded->count + 1) * sizeof(struct user *));
    stranded->users[stranded->count++] = user;
    user_pin(user);
    return true;
}

static void end_stranded(struct shard *shard)
{
    struct stranded stranded = {.hosts = shard_hosts(shard)};
    map_each(shard->users, find_stranded, &stranded);
    for (size_t i = 0; i < stranded.count; i++) {
        user_end_detached(stranded.users[i]);
        user_unpin(stranded.users[i]);
    }
    free(stranded.users);
}

static void set_timeouts(struct shard *shard)
{
    const struct backend_config *config = shard_config(shard);
    deadline_queue_set_timeout(shard->hurry, config->auth_timeout_ms);
    deadline_queue_set_timeout(shard->forget, 2 * config->auth_timeout_ms);
    deadline_queue_set_timeout(shard->silence, config->ack_timeout_ms);
    deadline_queue_set_timeout(shard->detached, config->resume_timeout_ms);
    if (config->client_ping_ms > 0) deadline_queue_set_timeout(shard->quiet, config->client_ping_ms);
}

struct comparison {
    const struct hosts *hosts;
    bool lacks;
};

static void compare(const struct host *host, void *arg)
{
    struct comparison *comparison = arg;
    comparison->lacks |= hosts_find(comparison->hosts, host->domain) == NULL;
}

static void on_swapped(void *arg)
{
    struct swap_all *all = arg;
    all->done(all->arg);
    free(all);
}

static void on_swap(void *arg)
{
    const struct swap *swap = arg;
    struct shard *shard = swap->shard;
    struct hosts *old = shard->hosts;
    struct comparison comparison = {.hosts = swap->hosts};
    shard->hosts = swap->hosts;
    set_timeouts(shard);
    LIST_EACH (link, &shard->streams) {
        stream_follow_hosts(LIST_ENTRY(link, struct stream, link));
    }
    component_desk_follow(shard->components);
    s2s_desk_follow(shard->s2s);
    remotes_follow(shard);
    hosts_each(old, compare, &comparison);
    if (comparison.lacks) end_stranded(shard);
    hosts_unref(&old);
    if (atomic_fetch_sub(&swap->all->pending, 1) == 1)
        mailbox_post(shard->backend->shards[0]->mailbox, on_swapped, swap->all);
}

void host_swap(struct backend *backend, struct hosts *hosts, mailbox_fn *done, void *arg)
{
    const unsigned count = backend->shard_count;
    struct swap_all *all = mem_alloc(sizeof(*all) + count * sizeof(struct swap));
    atomic_init(&all->pending, count);
    all->done = done;
    all->arg = arg;
    for (unsigned i = 0; i < count; i++) {
        all->swaps[i] = (struct swap){backend->shards[i], hosts_ref(hosts), all};
        mailbox_post(backend->shards[i]->mailbox, on_swap, &all->swaps[i]);
    }
}
