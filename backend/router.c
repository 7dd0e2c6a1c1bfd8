#include "backend/router.h"

#include "backend/backend.h"
#include "backend/component.h"
#include "backend/delivery.h"
#include "backend/host.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "backend/user.h"

enum { BACKLOG_MAX_BYTES = 4 * 1024 * 1024 };

/* On the shard that owns the addressee, which is a component, or a user of a host. */
static bool deliver_here(struct shard *owner, struct stanza *stanza, bool component)
{
    if (component) return component_deliver(owner, stanza);
    user_deliver(owner, stanza);
    return atomic_load(&owner->backlog_bytes) <= BACKLOG_MAX_BYTES;
}

static void on_arrival(void *arg)
{
    struct stanza *stanza = arg;
    struct shard *owner = stanza->bound_for;
    atomic_fetch_sub(&owner->backlog_bytes, arena_bytes(stanza->elem->arena));
    const struct hosts *hosts = shard_hosts(owner); /* they may have changed on the way */
    const char *domain = stanza->to->domain;
    (void)deliver_here(owner, stanza, !hosts_find(hosts, domain) && hosts_component(hosts, domain));
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
    if (owner == here) return deliver_here(here, stanza, component);
    const size_t bytes = arena_bytes(stanza->elem->arena);
    const size_t waiting = atomic_fetch_add(&owner->backlog_bytes, bytes);
    stanza->bound_for = owner;
    mailbox_post(owner->mailbox, on_arrival, stanza);
    return waiting + bytes <= BACKLOG_MAX_BYTES;
}
