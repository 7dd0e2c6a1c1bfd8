#include "backend/router.h"

#include "backend/backend.h"
#include "backend/component.h"
#include "backend/delivery.h"
#include "backend/host.h"
#include "backend/remote.h"
#include "backend/shard.h"
#include "backend/user.h"

enum { BACKLOG_MAX_BYTES = 4 * 1024 * 1024 };

/* Who takes a stanza to that address. */
enum taker { TAKER_HOST, TAKER_USER, TAKER_COMPONENT, TAKER_REMOTE };

static enum taker taker_of(const struct shard *shard, const struct jid *to)
{
    const struct hosts *hosts = shard_hosts(shard);
    if (hosts_find(hosts, to->domain)) return to->local ? TAKER_USER : TAKER_HOST;
    return hosts_component(hosts, to->domain) ? TAKER_COMPONENT : TAKER_REMOTE;
}

/* On the shard that owns the addressee. */
static bool deliver_here(struct shard *owner, struct stanza *stanza, enum taker taker)
{
    if (taker == TAKER_REMOTE) return remote_deliver(owner, stanza);
    if (taker == TAKER_COMPONENT) return component_deliver(owner, stanza);
    user_deliver(owner, stanza);
    return atomic_load(&owner->backlog_bytes) <= BACKLOG_MAX_BYTES;
}

static void on_arrival(void *arg)
{
    struct stanza *stanza = arg;
    struct shard *owner = stanza->bound_for;
    atomic_fetch_sub(&owner->backlog_bytes, arena_bytes(stanza->elem->arena));
    const enum taker taker = taker_of(owner, stanza->to); /* the hosts may have changed on the way */
    const bool away = taker != TAKER_USER && shard_of(owner->backend, stanza->to->domain) != owner;
    if (taker != TAKER_HOST && !away) {
        (void)deliver_here(owner, stanza, taker);
    } else {
        (void)router_deliver(owner, stanza);
    }
}

bool router_deliver(struct shard *here, struct stanza *stanza)
{
    CHECK(stanza->from && stanza->to);
    const enum taker taker = taker_of(here, stanza->to);
    if (taker == TAKER_HOST) {
        delivery_to_host(here, stanza);
        return true;
    }
    struct shard *owner = shard_of(here->backend, taker == TAKER_USER ? stanza->to->bare : stanza->to->domain);
    if (owner == here) return deliver_here(here, stanza, taker);
    const size_t bytes = arena_bytes(stanza->elem->arena);
    const size_t waiting = atomic_fetch_add(&owner->backlog_bytes, bytes);
    const bool slow = taker == TAKER_REMOTE && remote_is_slow(here->backend, stanza->to->domain);
    stanza->bound_for = owner;
    mailbox_post(owner->mailbox, on_arrival, stanza);
    return !slow && waiting + bytes <= BACKLOG_MAX_BYTES;
}
