#include "backend/component.h"

#include "backend/admission.h"
#include "backend/backend_config.h"
#include "backend/component_def.h"
#include "backend/component_stream.h"
#include "backend/host.h"
#include "backend/ns.h"
#include "backend/router.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"

#include <stdlib.h>
#include <string.h>

enum { PAUSE_MS = 10, PENDING_PAUSE_BYTES = 1024 * 1024 };

struct component_desk *component_desk_new(struct shard *shard)
{
    struct component_desk *desk = MEM_NEW(struct component_desk);
    desk->shard = shard;
    list_init(&desk->all);
    desk->by_domain = map_new();
    desk->hurry = deadline_queue_new(shard->loop, shard->backend->config->auth_timeout_ms, component_on_hurry, desk);
    desk->pause = deadline_queue_new(shard->loop, PAUSE_MS, component_on_pause_over, desk);
    return desk;
}

void component_desk_free(struct component_desk **desk)
{
    struct component_desk *d = *desk;
    *desk = NULL;
    deadline_queue_free(&d->hurry);
    deadline_queue_free(&d->pause);
    map_free(&d->by_domain);
    free(d);
}

void component_begin(struct backend *backend, int fd, bool direct_tls, const struct addr *peer)
{
    atomic_fetch_add(&backend->streams, 1);
    admission_keep_alive(shard_config(backend->shards[0]), fd);
    component_stream_begin(backend->shards[0]->components, fd, direct_tls, peer);
}

bool component_deliver(struct shard *shard, struct stanza *stanza)
{
    struct component *component = map_get_str(shard->components->by_domain, stanza->to->domain);
    if (!component) {
        stanza_error_bounce(shard, stanza, STANZA_ERROR_REMOTE_SERVER_TIMEOUT);
        return true;
    }
    struct buf buf = {0};
    /* elements of jabber:client become those of the component's stream by having no namespace of their own */
    elem_print(stanza->elem, NS_CLIENT, &buf);
    shard_count(shard, COUNTER_COMPONENT_OUT);
    peer_write(component->peer, &buf);
    stanza_free(&stanza);
    return peer_pending(component->peer) < PENDING_PAUSE_BYTES;
}

void component_desk_follow(struct component_desk *desk)
{
    LIST_EACH (link, &desk->all) {
        struct component *component = LIST_ENTRY(link, struct component, link);
        if (component->domain && !hosts_component(shard_hosts(desk->shard), component->domain))
            peer_fail(component->peer, END_HOST_GONE, "host-gone", NULL);
    }
}

void component_desk_stop(struct component_desk *desk)
{
    LIST_EACH (link, &desk->all) {
        peer_fail(LIST_ENTRY(link, struct component, link)->peer, END_SHUTDOWN, "system-shutdown", NULL);
    }
}

void component_desk_abort(struct component_desk *desk)
{
    LIST_EACH (link, &desk->all) {
        peer_abort(LIST_ENTRY(link, struct component, link)->peer, END_SHUTDOWN);
    }
}
