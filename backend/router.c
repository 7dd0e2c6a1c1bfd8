#include "backend/router.h"

#include "backend/backend.h"
#include "backend/dispatch.h"
#include "backend/host.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "backend/user.h"

enum { BACKLOG_MAX_BYTES = 4 * 1024 * 1024 };

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
static void message_to_bare(struct shard *shard, struct stanza *stanza)
{
    const struct user *user = user_find(shard, stanza->to->bare);
    const int best = user ? best_priority(user) : -1;
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

static void to_bare(struct shard *shard, struct stanza *stanza)
{
    switch (stanza->kind) {
    case STANZA_MESSAGE:
        message_to_bare(shard, stanza);
        return;
    case STANZA_IQ:
        dispatch_stanza(shard, stanza, dispatch_scope_of(stanza));
        return;
    case STANZA_PRESENCE:
        /* nobody is subscribed to anybody yet */
        drop(shard, stanza);
        return;
    }
}

/* RFC 6121 section 8.5.3: a full address. */
static void to_full(struct shard *shard, struct stanza *stanza)
{
    const struct user *user = user_find(shard, stanza->to->bare);
    struct session *session = user ? session_find(user, stanza->to->resource) : NULL;
    const bool directed_presence = stanza->kind == STANZA_PRESENCE && stanza->type != STANZA_ERROR;
    if (session && !directed_presence) {
        session_send(session, stanza);
        stanza_free(&stanza);
    } else if (stanza->kind == STANZA_PRESENCE || stanza->type == STANZA_HEADLINE) {
        drop(shard, stanza);
    } else if (stanza->kind == STANZA_IQ) {
        stanza_error_bounce(shard, stanza, STANZA_ERROR_SERVICE_UNAVAILABLE);
    } else {
        message_to_bare(shard, stanza);
    }
}

static void deliver_here(struct shard *shard, struct stanza *stanza)
{
    if (stanza->to->resource) {
        to_full(shard, stanza);
    } else {
        to_bare(shard, stanza);
    }
}

static void on_arrival(void *arg)
{
    struct stanza *stanza = arg;
    struct shard *owner = stanza->bound_for;
    atomic_fetch_sub(&owner->backlog_bytes, arena_bytes(stanza->elem->arena));
    deliver_here(owner, stanza);
}

bool router_deliver(struct shard *here, struct stanza *stanza)
{
    CHECK(stanza->from && stanza->to);
    if (!hosts_find(shard_hosts(here), stanza->to->domain)) {
        stanza_error_bounce(here, stanza, STANZA_ERROR_REMOTE_SERVER_NOT_FOUND);
        return true;
    }
    if (!stanza->to->local) {
        dispatch_stanza(here, stanza, DISPATCH_HOST);
        return true;
    }
    struct shard *owner = shard_of(here->backend, stanza->to->bare);
    if (owner == here) {
        deliver_here(here, stanza);
        return true;
    }
    if (backend_is_stopping(here->backend)) {
        drop(here, stanza); /* the other shard may have read its mailbox for the last time */
        return true;
    }
    const size_t bytes = arena_bytes(stanza->elem->arena);
    const size_t waiting = atomic_fetch_add(&owner->backlog_bytes, bytes);
    stanza->bound_for = owner;
    mailbox_post(owner->mailbox, on_arrival, stanza);
    return waiting + bytes <= BACKLOG_MAX_BYTES;
}
