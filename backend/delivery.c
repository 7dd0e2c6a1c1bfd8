#include "backend/delivery.h"

#include "backend/archive.h"
#include "backend/blocking.h"
#include "backend/dispatch.h"
#include "backend/host.h"
#include "backend/offline.h"
#include "backend/presence.h"
#include "backend/presence_probe.h"
#include "backend/router.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/sm_share.h"
#include "backend/stanza_error.h"
#include "backend/subscription.h"
#include "backend/user.h"

static void drop(struct shard *shard, struct stanza *stanza)
{
    shard_count(shard, COUNTER_STANZAS_DROPPED);
    stanza_free(&stanza);
}

static void refuse(struct shard *shard, struct stanza *stanza)
{
    stanza_error_bounce(shard, stanza, STANZA_ERROR_SERVICE_UNAVAILABLE);
}

/* Section 8.5.2.1.1; and one that is still being given what has waited gets the rest in its turn. */
static bool takes_message(const struct session *session, const struct stanza *stanza)
{
    return session->available && session->priority >= 0 && !(session->offline && offline_is_storable(stanza)) &&
           blocking_allows(session->user, session, stanza, true);
}

/* The highest priority among the sessions that take the message to the bare address, or -1: there are none. */
static int best_priority(const struct user *user, const struct stanza *stanza)
{
    int best = -1;
    LIST_EACH (link, &user->sessions) {
        const struct session *session = LIST_ENTRY(link, struct session, link);
        if (takes_message(session, stanza) && session->priority > best) best = session->priority;
    }
    return best;
}

static bool goes_to_all(const struct user *user, const struct stanza *stanza)
{
    if (stanza->type == STANZA_HEADLINE) return true;
    const struct host *host = hosts_find(shard_hosts(user->shard), stanza->to->domain);
    return host && host->messages_to_all;
}

/* Section 8.5.2.1.1: to the most available resources, all that have the highest priority; or to all that are not
 * negative. */
static void send_to_best(struct user *user, struct stanza *stanza, int best)
{
    const int wanted = goes_to_all(user, stanza) ? 0 : best;
    struct session *last = NULL; /* so that the first is told whether there are more */
    LIST_EACH (link, &user->sessions) {
        struct session *session = LIST_ENTRY(link, struct session, link);
        if (!takes_message(session, stanza) || session->priority < wanted) continue;
        if (last) {
            if (!stanza->share) stanza->share = sm_share_new();
            session_send(last, stanza);
        }
        last = session;
    }
    session_send(last, stanza);
    sm_share_close(&stanza->share);
    stanza_free(&stanza);
}

/* Sections 8.5.1, 8.5.2.1.1 and 8.5.2.2.1.  Without the store's answer nobody hears whether there is such an account.
 */
static void message_to_bare(struct user *user, struct stanza *stanza)
{
    struct shard *shard = user->shard;
    const int best = best_priority(user, stanza);
    if (stanza->type == STANZA_GROUPCHAT) {
        refuse(shard, stanza);
    } else if (best >= 0 && stanza->type != STANZA_ERROR) {
        archive_incoming(user, stanza);
        send_to_best(user, stanza, best);
    } else if (offline_is_storable(stanza)) {
        offline_store(user, stanza);
    } else {
        drop(shard, stanza);
    }
}

/* Section 8.5.3.2.1: a full address that nobody has. */
static void message_to_nobody(struct user *user, struct stanza *stanza)
{
    if (stanza->returned && offline_is_storable(stanza)) {
        message_to_bare(user, stanza); /* there was somebody, who has not acknowledged it */
        return;
    }
    switch (stanza->type) {
    case STANZA_CHAT:
        message_to_bare(user, stanza);
        return;
    case STANZA_NORMAL:
    case STANZA_GROUPCHAT:
        refuse(user->shard, stanza);
        return;
    default:
        drop(user->shard, stanza);
    }
}

static void take_message(struct user *user, struct stanza *stanza, struct session *session)
{
    if (session && session->offline && offline_is_storable(stanza)) {
        offline_store(user, stanza); /* behind what came first */
    } else if (session) {
        archive_incoming(user, stanza);
        session_send(session, stanza);
        stanza_free(&stanza);
    } else if (stanza->to->resource) {
        message_to_nobody(user, stanza);
    } else {
        message_to_bare(user, stanza);
    }
}

/* Section 8.5.3.1: an iq must not tell strangers that the resource is there.  Our own hosts and services are none. */
static bool may_ask(const struct session *session, const struct stanza *stanza)
{
    const struct hosts *hosts = shard_hosts(session->user->shard);
    const char *domain = stanza->from->domain;
    if (!stanza_error_allowed(stanza)) return true;
    if (!stanza->from->local && (hosts_find(hosts, domain) || hosts_component(hosts, domain))) return true;
    return presence_is_shared(session, stanza->from->bare);
}

static void take_iq(struct user *user, struct stanza *stanza, struct session *session)
{
    if (!stanza->to->resource) {
        dispatch_stanza(user->shard, stanza, dispatch_scope_of(stanza));
    } else if (session && may_ask(session, stanza)) {
        session_send(session, stanza);
        stanza_free(&stanza);
    } else {
        refuse(user->shard, stanza);
    }
}

static void take_presence(struct user *user, struct stanza *stanza, struct session *session)
{
    switch (stanza->type) {
    case STANZA_AVAILABLE:
    case STANZA_UNAVAILABLE:
        presence_inbound(user, stanza);
        return;
    case STANZA_SUBSCRIBED:
    case STANZA_UNSUBSCRIBE:
    case STANZA_UNSUBSCRIBED:
        if (stanza->to->resource && !session) break; /* section 8.5.3.2.2 */
        subscription_inbound(user, stanza);
        return;
    case STANZA_SUBSCRIBE:
        subscription_inbound(user, stanza);
        return;
    case STANZA_PROBE:
        presence_probe_take(user, stanza);
        return;
    case STANZA_ERROR:
        if (!session && !stanza->to->resource) {
            subscription_failed(user, stanza);
            return;
        }
        if (!session) break;
        session_send(session, stanza);
        stanza_free(&stanza);
        return;
    default:
        break;
    }
    drop(user->shard, stanza);
}

void delivery_take(struct user *user, struct stanza *stanza)
{
    if (!blocking_passes_in(user, stanza)) {
        blocking_take_in(user, stanza);
        return;
    }
    struct session *session = stanza->to->resource ? session_find(user, stanza->to->resource) : NULL;
    switch (stanza->kind) {
    case STANZA_MESSAGE:
        take_message(user, stanza, session);
        return;
    case STANZA_PRESENCE:
        take_presence(user, stanza, session);
        return;
    case STANZA_IQ:
        take_iq(user, stanza, session);
        return;
    }
}

bool delivery_is_moot(const struct user *user, const struct stanza *stanza)
{
    if (stanza->kind != STANZA_PRESENCE || (user && !list_empty(&user->sessions))) return false;
    return stanza->type == STANZA_AVAILABLE || stanza->type == STANZA_UNAVAILABLE || stanza->type == STANZA_ERROR ||
           stanza->quiet;
}

/* A host has no presence, and nobody's: who asks for it is told so, and does not wait for ever. */
static void presence_to_host(struct shard *shard, struct stanza *stanza)
{
    if (stanza->type == STANZA_SUBSCRIBE || stanza->type == STANZA_PROBE) {
        struct stanza *answer = stanza_reply(stanza, "unsubscribed");
        stanza_address(answer, jid_with_resource(stanza->to, NULL, NULL), jid_with_resource(stanza->from, NULL, NULL));
        router_deliver(shard, answer);
        stanza_free(&stanza);
    } else {
        drop(shard, stanza);
    }
}

void delivery_to_host(struct shard *shard, struct stanza *stanza)
{
    if (stanza->kind == STANZA_PRESENCE) {
        presence_to_host(shard, stanza);
    } else if (stanza->to->resource) {
        refuse(shard, stanza);
    } else {
        dispatch_stanza(shard, stanza, DISPATCH_HOST);
    }
}
