#include "backend/outbound.h"

#include "backend/archive.h"
#include "backend/blocking.h"
#include "backend/delay.h"
#include "backend/presence.h"
#include "backend/router.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "backend/subscription.h"
#include "backend/user.h"

static void take_presence(struct user *user, struct stanza *stanza)
{
    if (subscription_is(stanza)) {
        subscription_outbound(user, stanza);
    } else if (stanza->type == STANZA_AVAILABLE || stanza->type == STANZA_UNAVAILABLE) {
        presence_outbound(user, stanza);
    } else if (stanza->undirected) {
        stanza_error_bounce(user->shard, stanza, STANZA_ERROR_BAD_REQUEST); /* all others are to somebody */
    } else if (!router_deliver(user->shard, stanza)) {
        user->shard->ahead = true;
    }
}

void outbound_take(struct user *user, struct stanza *stanza)
{
    stanza->outbound = false;
    if (stanza->kind != STANZA_IQ) delay_strip(stanza->elem, stanza->to->domain);
    if (!blocking_passes_out(user, stanza)) {
        blocking_take_out(user, stanza);
        return;
    }
    if (stanza->kind == STANZA_MESSAGE) archive_outgoing(user, stanza);
    if (stanza->kind == STANZA_PRESENCE) {
        take_presence(user, stanza);
    } else if (!router_deliver(user->shard, stanza)) {
        user->shard->ahead = true;
    }
}
