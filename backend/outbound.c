#include "backend/outbound.h"

#include "backend/blocking.h"
#include "backend/ns.h"
#include "backend/router.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/subscription.h"
#include "backend/subscription_request.h"
#include "backend/user.h"

#include <stdlib.h>

static void own_presence(struct user *user, const struct stanza *stanza)
{
    struct session *session = session_find(user, stanza->from->resource);
    if (session && stanza->type == STANZA_AVAILABLE) {
        const struct elem *priority = elem_child(stanza->elem, NS_CLIENT, "priority");
        const long value = priority ? strtol(elem_text(priority, NULL), NULL, 10) : 0;
        if (!session->available) subscription_request_deliver(user, session);
        session->available = true;
        session->priority = (int)(value < -128 ? -128 : value > 127 ? 127 : value);
    } else if (session && stanza->type == STANZA_UNAVAILABLE) {
        session->available = false;
    }
}

void outbound_take(struct user *user, struct stanza *stanza)
{
    struct shard *shard = user->shard;
    stanza->outbound = false;
    if (!blocking_passes_out(user, stanza)) {
        blocking_take_out(user, stanza);
    } else if (subscription_is(stanza)) {
        subscription_outbound(user, stanza);
    } else if (stanza->undirected) {
        own_presence(user, stanza);
        stanza_free(&stanza);
    } else if (!router_deliver(shard, stanza)) {
        shard->ahead = true;
    }
}
