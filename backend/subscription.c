#include "backend/subscription.h"

#include "backend/backend_config.h"
#include "backend/ns.h"
#include "backend/presence.h"
#include "backend/roster_change.h"
#include "backend/roster_push.h"
#include "backend/router.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "backend/subscription_table.h"

#include <stdlib.h>
#include <string.h>

/* What is kept of a request that waits for an answer. */
enum { REQUEST_MAX_BYTES = 16 * 1024 };

/* The id of a request that the user's client did not send, so that errors do not bother it. */
static const char AGAIN[] = "postern-again";

/* A stanza whose effect is being stored. */
struct work {
    struct stanza *stanza;
    enum subscription_way way;
    struct subscription_step step;
    uint8_t old; /* the contact's flags before */
};

bool subscription_is(const struct stanza *stanza)
{
    return stanza->kind == STANZA_PRESENCE &&
           (stanza->type == STANZA_SUBSCRIBE || stanza->type == STANZA_SUBSCRIBED ||
            stanza->type == STANZA_UNSUBSCRIBE || stanza->type == STANZA_UNSUBSCRIBED);
}

bool subscription_comes_again(const struct stanza *stanza)
{
    const char *id = elem_get(stanza->elem, "id");
    return id && strncmp(id, AGAIN, strlen(AGAIN)) == 0;
}

static struct jid *bare_of(const struct jid *jid)
{
    struct jid *bare = jid_with_resource(jid, NULL, NULL);
    CHECK(bare);
    return bare;
}

/* From the user's bare address; id may be NULL. */
static void send_presence(const struct user *user, const char *type, const char *id, const struct jid *to)
{
    struct jid *from = jid_parse(user->bare, strlen(user->bare), NULL);
    if (!from) return; /* prepared it may be, and still be none that can be prepared */
    struct elem *elem = elem_new(arena_new(), NS_CLIENT, "presence");
    elem_set(elem, "type", type);
    elem_set(elem, "id", id);
    struct stanza *stanza = stanza_new(elem);
    CHECK(stanza);
    stanza_address(stanza, from, jid_dup(to));
    router_deliver(user->shard, stanza);
}

/* Section 3 throughout: both addresses bare, whatever stood there. */
static void make_bare(struct stanza *stanza)
{
    stanza_address(stanza, bare_of(stanza->from), bare_of(stanza->to));
}

static void drop(struct user *user, struct stanza *stanza)
{
    shard_count(user->shard, COUNTER_STANZAS_DROPPED);
    stanza_free(&stanza);
}

static void to_available(const struct user *user, struct stanza *stanza)
{
    LIST_EACH (link, &user->sessions) {
        struct session *session = LIST_ENTRY(link, struct session, link);
        if (session->available) session_send(session, stanza);
    }
    stanza_free(&stanza);
}

static void to_interested(const struct user *user, struct stanza *stanza)
{
    LIST_EACH (link, &user->sessions) {
        struct session *session = LIST_ENTRY(link, struct session, link);
        if (session->interested) session_send(session, stanza);
    }
    stanza_free(&stanza);
}

static const struct jid *contact_of(const struct stanza *stanza, enum subscription_way way)
{
    return way == SUBSCRIPTION_INBOUND ? stanza->from : stanza->to;
}

static void pass(struct user *user, struct work *w)
{
    struct stanza *stanza = w->stanza;
    w->stanza = NULL;
    if (w->step.does & SUBSCRIPTION_AUTO) {
        send_presence(user, "subscribed", NULL, stanza->from);
        stanza_free(&stanza);
    } else if (!(w->step.does & SUBSCRIPTION_PASS)) {
        drop(user, stanza);
    } else if (w->way == SUBSCRIPTION_OUTBOUND) {
        router_deliver(user->shard, stanza);
    } else if (stanza->type == STANZA_SUBSCRIBE) {
        to_available(user, stanza); /* section 3.1.3 */
    } else {
        to_interested(user, stanza); /* sections 3.1.6, 3.2.3, 3.3.3 */
    }
}

/* The effect is durable, or there was none to store.  Section 3.2.2: who loses the subscription by this user's will is
 * told that the user is gone before the news as such; in all other cases the presence comes behind. */
static void act(struct user *user, struct work *w)
{
    make_bare(w->stanza);
    struct jid *contact = jid_dup(contact_of(w->stanza, w->way));
    const uint8_t changed = w->old ^ w->step.flags;
    const bool cancels = w->way == SUBSCRIPTION_OUTBOUND && (w->old & ~w->step.flags & ROSTER_FROM);
    const bool again = w->step.does & SUBSCRIPTION_AUTO; /* it has forgotten what it was granted, and what it saw */
    const bool left = w->way == SUBSCRIPTION_INBOUND && w->stanza->type == STANZA_UNSUBSCRIBE && changed != 0;
    if (cancels) presence_tell_gone(user, contact);
    pass(user, w);
    if ((changed & (uint8_t)~ROSTER_PENDING_IN) != 0) roster_push(user, contact->bare);
    if (again) {
        presence_tell(user, contact);
    } else if (!cancels) {
        subscription_follow(user, contact, w->old, w->step.flags);
    }
    if (left) send_presence(user, "unsubscribed", NULL, contact); /* appendix A.3.2 */
    jid_free(&contact);
}

static void on_stored(struct user *user, enum store_status status, void *arg)
{
    struct work *w = arg;
    if (status == STORE_OK) {
        act(user, w);
    } else {
        stanza_error_bounce(user->shard, w->stanza, stanza_error_of_store(status));
    }
    free(w);
}

static struct roster_item *changed_item(const struct user *user, const char *contact, uint8_t flags)
{
    const struct roster_item *item = roster_find(user, contact);
    if (item) return roster_item_copy(item, flags);
    struct roster_item *made = roster_item_new(contact, NULL);
    made->flags = flags;
    return made;
}

/* A request is kept as its receiver is to see it. */
static void store_work(struct user *user, struct work *w)
{
    struct buf text = {0};
    const bool asks = w->step.flags & ~w->old & ROSTER_PENDING_IN;
    if (asks) {
        make_bare(w->stanza);
        elem_print(w->stanza->elem, NS_CLIENT, &text);
        buf_append(&text, "", 1);
    }
    roster_change(user, changed_item(user, contact_of(w->stanza, w->way)->bare, w->step.flags),
                  asks ? (const char *)buf_data(&text) : NULL, on_stored, w);
    buf_free(&text);
}

/* Whether there is room for one contact more of that kind: listed, or waiting for an answer. */
static bool has_room(const struct user *user, const struct work *w)
{
    const struct backend_config *config = shard_config(user->shard);
    const uint8_t more = w->step.flags & (uint8_t)~w->old;
    if ((more & ROSTER_LISTED) && (int64_t)roster_count(user, ROSTER_LISTED) >= config->roster_items) return false;
    return !(more & ROSTER_PENDING_IN) || (int64_t)roster_count(user, ROSTER_PENDING_IN) < config->roster_requests;
}

static void process(struct user *user, struct stanza *stanza, enum subscription_way way)
{
    struct work w = {.stanza = stanza, .way = way, .old = roster_flags(user, contact_of(stanza, way)->bare)};
    w.step = subscription_step_of(w.old, way, stanza->type);
    if (w.step.flags == w.old) {
        act(user, &w);
    } else if (has_room(user, &w)) {
        struct work *stored = MEM_NEW(struct work);
        *stored = w;
        store_work(user, stored);
    } else if (way == SUBSCRIPTION_OUTBOUND || w.old & ROSTER_LISTED) {
        stanza_error_bounce(user->shard, stanza, STANZA_ERROR_RESOURCE_CONSTRAINT); /* section 8.1: one who is known */
    } else {
        drop(user, stanza); /* an error would tell that there is such an account */
    }
}

static bool is_too_long(const struct stanza *stanza)
{
    return stanza->type == STANZA_SUBSCRIBE && arena_bytes(stanza->elem->arena) > REQUEST_MAX_BYTES;
}

void subscription_outbound(struct user *user, struct stanza *stanza)
{
    if (stanza->undirected) {
        stanza_error_bounce(user->shard, stanza, STANZA_ERROR_BAD_REQUEST);
    } else if (user->temporary || jid_bare_equal(stanza->from, stanza->to)) {
        stanza_error_bounce(user->shard, stanza, STANZA_ERROR_NOT_ALLOWED);
    } else if (is_too_long(stanza)) {
        stanza_error_bounce(user->shard, stanza, STANZA_ERROR_NOT_ACCEPTABLE);
    } else {
        process(user, stanza, SUBSCRIPTION_OUTBOUND);
    }
}

void subscription_inbound(struct user *user, struct stanza *stanza)
{
    if (is_too_long(stanza)) {
        stanza_error_bounce(user->shard, stanza, STANZA_ERROR_NOT_ACCEPTABLE);
    } else if (!user->exists || user->temporary) {
        drop(user, stanza); /* RFC 6121 section 8.5.1 */
    } else {
        process(user, stanza, SUBSCRIPTION_INBOUND);
    }
}

/* A contact's address, of a store that somebody may have changed. */
static struct jid *address_of(const struct roster_item *item)
{
    return jid_parse(roster_jid(item), strlen(roster_jid(item)), NULL);
}

void subscription_failed(struct user *user, struct stanza *stanza)
{
    if (subscription_comes_again(stanza) || !(roster_flags(user, stanza->from->bare) & ROSTER_PENDING_OUT)) {
        drop(user, stanza);
    } else {
        to_available(user, stanza);
    }
}

void subscription_again(struct user *user)
{
    const struct roster *roster = roster_of(user);
    for (size_t i = 0; roster && i < roster->count; i++) {
        if (!(roster->items[i]->flags & ROSTER_PENDING_OUT)) continue;
        struct jid *contact = address_of(roster->items[i]);
        if (contact && !hosts_find(shard_hosts(user->shard), contact->domain))
            send_presence(user, "subscribe", AGAIN, contact);
        jid_free(&contact);
    }
}

void subscription_follow(struct user *user, const struct jid *contact, uint8_t old, uint8_t now)
{
    if (now & ~old & ROSTER_FROM) presence_tell(user, contact);
    if (old & ~now & ROSTER_FROM) presence_tell_gone(user, contact);
}

void subscription_end(struct user *user, const struct jid *contact, uint8_t flags)
{
    if (flags & (ROSTER_TO | ROSTER_PENDING_OUT)) send_presence(user, "unsubscribe", NULL, contact);
    if (flags & ROSTER_FROM) presence_tell_gone(user, contact);
    if (flags & (ROSTER_FROM | ROSTER_PENDING_IN)) send_presence(user, "unsubscribed", NULL, contact);
}

void subscription_end_all(struct user *user)
{
    const struct roster *roster = roster_of(user);
    for (size_t i = 0; roster && i < roster->count; i++) {
        struct jid *contact = address_of(roster->items[i]);
        if (contact) subscription_end(user, contact, roster->items[i]->flags);
        jid_free(&contact);
    }
    roster_forget(user);
}
