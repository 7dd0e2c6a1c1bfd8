#include "backend/router.h"

#include "backend/backend.h"
#include "backend/component.h"
#include "backend/delivery.h"
#include "backend/host.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "backend/user.h"

enum { BACKLOG_MAX_BYTES = 4 * 1024 * 1024 };

/* On the shard that owns the addressee, which is a user of a host, or a component. */
static bool deliver_here(struct shard *owner, struct stanza *stanza)
{
    if (!hosts_find(shard_hosts(owner), stanza->to->domain) && hosts_component(shard_hosts(owner), stanza->to->domain))
        return component_deliver(owner, stanza);
    user_deliver(owner, stanza);
    return atomic_load(&owner->backlog_bytes) <= BACKLOG_MAX_BYTES;
}

static void on_arrival(void *arg)
{
    struct stanza *stanza = arg;
    struct shard *owner = stanza->bound_for;
    atomic_fetch_sub(&owner->backlog_bytes, arena_bytes(stanza->elem->arena));
    (void)deliver_here(owner, stanza);
}

bool router_deliver(struct shard *here, struct stanza *stanza)
{
    CHECK(stanza->from && stanza->to);
    const struct hosts *hosts = shard_hosts(here);
    const bool component = !hosts_find(hosts, stanza->to->domain);
    if (component && !hosts_component(hosts, stanza->to->domain)) {
        stanza_error_bounce(here, stanza, STANZA_ERROR_REMOTE_SERVER_NOT_FOUND);
        return true;
    }
    if (!component && !stanza->to->local) {
        delivery_to_host(here, stanza);
        return true;
    }
    struct shard *owner = shard_of(here->backend, component ? stanza->to->domain : stanza->to->bare);
    if (owner == here) return deliver_here(here, stanza);
    const size_t bytes = arena_bytes(stanza->elem->arena);
    const size_t waiting = atomic_fetch_add(&owner->backlog_bytes, bytes);
    stanza->bound_for = owner;
    mailbox_post(owner->mailbox, on_arrival, stanza);
    return waiting + bytes <= BACKLOG_MAX_BYTES;
}
