#include "backend/router.h"

#include "backend/backend.h"
#include "backend/delivery.h"
#include "backend/host.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "backend/user.h"

enum { BACKLOG_MAX_BYTES = 4 * 1024 * 1024 };

static void on_arrival(void *arg)
{
    struct stanza *stanza = arg;
    struct shard *owner = stanza->bound_for;
    atomic_fetch_sub(&owner->backlog_bytes, arena_bytes(stanza->elem->arena));
    user_deliver(owner, stanza);
}

bool router_deliver(struct shard *here, struct stanza *stanza)
{
    CHECK(stanza->from && stanza->to);
    if (!hosts_find(shard_hosts(here), stanza->to->domain)) {
        stanza_error_bounce(here, stanza, STANZA_ERROR_REMOTE_SERVER_NOT_FOUND);
        return true;
    }
    if (!stanza->to->local) {
        delivery_to_host(here, stanza);
        return true;
    }
    struct shard *owner = shard_of(here->backend, stanza->to->bare);
    if (owner == here) {
        user_deliver(here, stanza);
        return atomic_load(&here->backlog_bytes) <= BACKLOG_MAX_BYTES;
    }
    const size_t bytes = arena_bytes(stanza->elem->arena);
    const size_t waiting = atomic_fetch_add(&owner->backlog_bytes, bytes);
    stanza->bound_for = owner;
    mailbox_post(owner->mailbox, on_arrival, stanza);
    return waiting + bytes <= BACKLOG_MAX_BYTES;
}
