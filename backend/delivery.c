#include "backend/delivery.h"

#include "backend/blocking.h"
#include "backend/dispatch.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "backend/subscription.h"
#include "backend/user.h"

static void drop(struct shard *shard, struct stanza *stanza)
{
    shard_count(shard, COUNTER_STANZAS_DROPPED);
    stanza_free(&stanza);
}

/* The highest priority among the sessions that take messages to the bare address, or -1: there are none. */
static int best_priority(const struct user *user)
{
    int best = -1;
    LIST_EACH (link, &user->sessions) {
        const struct session *session = LIST_ENTRY(link, struct session, link);
        if (session->available && session->priority > best) best = session->priority;
    }
    return best;
}

/* RFC 6121 section 8.5.2.1.1: to the most available resources; a headline to all that are not negative. */
static void message_to_bare(struct user *user, struct stanza *stanza)
{
    struct shard *shard = user->shard;
    const int best = best_priority(user);
    if (stanza->type == STANZA_ERROR || (stanza->type == STANZA_HEADLINE && best < 0)) {
        drop(shard, stanza);
        return;
    }
    if (stanza->type == STANZA_GROUPCHAT || best < 0) {
        /* the same whether the account exists or not, so that nobody can find out */
        stanza_error_bounce(shard, stanza, STANZA_ERROR_SERVICE_UNAVAILABLE);
        return;
    }
    const int wanted = stanza->type == STANZA_HEADLINE ? 0 : best;
    LIST_EACH (link, &user->sessions) {
        struct session *session = LIST_ENTRY(link, struct session, link);
        if (session->available && session->priority >= wanted) session_send(session, stanza);
    }
    stanza_free(&stanza);
}

static void to_bare(struct user *user, struct stanza *stanza)
{
    switch (stanza->kind) {
    case STANZA_MESSAGE:
        message_to_bare(user, stanza);
        return;
    case STANZA_IQ:
        dispatch_stanza(user->shard, stanza, dispatch_scope_of(stanza));
        return;
    case STANZA_PRESENCE:
        /* nobody is subscribed to anybody yet */
        drop(user->shard, stanza);
        return;
    }
}

/* RFC 6121 section 8.5.3: a full address. */
static void to_full(struct user *user, struct stanza *stanza)
{
    struct shard *shard = user->shard;
    struct session *session = session_find(user, stanza->to->resource);
    const bool directed_presence = stanza->kind == STANZA_PRESENCE && stanza->type != STANZA_ERROR;
    if (session && !directed_presence) {
        session_send(session, stanza);
        stanza_free(&stanza);
    } else if (stanza->kind == STANZA_PRESENCE || stanza->type == STANZA_HEADLINE) {
        drop(shard, stanza);
    } else if (stanza->kind == STANZA_IQ) {
        stanza_error_bounce(shard, stanza, STANZA_ERROR_SERVICE_UNAVAILABLE);
    } else {
        message_to_bare(user, stanza);
    }
}

void delivery_take(struct user *user, struct stanza *stanza)
{
    if (!blocking_passes_in(user, stanza)) {
        blocking_take_in(user, stanza);
    } else if (subscription_is(stanza)) {
        subscription_inbound(user, stanza);
    } else if (stanza->to->resource) {
        to_full(user, stanza);
    } else {
        to_bare(user, stanza);
    }
}
