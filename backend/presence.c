#include "backend/presence.h"

#include "backend/blocking.h"
#include "backend/delay.h"
#include "backend/directed.h"
#include "backend/elem_parse.h"
#include "backend/ns.h"
#include "backend/presence_fan.h"
#include "backend/privacy.h"
#include "backend/roster.h"
#include "backend/router.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "backend/user.h"

#include <stdlib.h>
#include <string.h>

/* A presence goes to every contact at once, and is kept.  What larger things there are to tell have other ways. */
enum { BROADCAST_MAX_BYTES = 32 * 1024, ROOM_BYTES = 216 /* most presences with capabilities fit */ };

static presence_hook_fn *const HOOKS[] = {
#define PRESENCE_HOOK(fn) fn,
#include "backend/presence_hooks.def"
#undef PRESENCE_HOOK
};

static void send_on(struct shard *shard, struct stanza *stanza)
{
    if (!router_deliver(shard, stanza)) shard->ahead = true;
}

/* A copy of what a session has sent to somebody, who may be blocked; takes to. */
static void send_copy(const struct session *session, const struct stanza *stanza, struct jid *to)
{
    if (!blocking_allows_kind(session->user, session, to, PRIVACY_PRESENCE_OUT)) {
        jid_free(&to);
        return;
    }
    struct stanza *copy = stanza_copy(stanza);
    copy->undirected = false;
    stanza_address(copy, jid_dup(stanza->from), to);
    send_on(session->user->shard, copy);
}

/* send_text - a copy to an address that is prepared; one that is none after all (of a store that somebody has changed)
 * gets nothing. */
static void send_text(const struct session *session, const struct stanza *stanza, const char *text)
{
    struct jid *to = jid_parse(text, strlen(text), NULL);
    if (to) send_copy(session, stanza, to);
}

/* When the server stops, everybody here goes as well, and need not be told of the others. */
static bool is_moot(const struct session *session, const char *text)
{
    const struct shard *shard = session->user->shard;
    const char *domain = strchr(text, '@');
    return shard->stopping && domain && hosts_find(shard_hosts(shard), domain + 1);
}

/* is_subscribed - whether what the user broadcasts goes to that account: its own has it implicitly. */
static bool is_subscribed(const struct user *user, const char *bare)
{
    if (strcmp(user->bare, bare) == 0) return true;
    const struct roster_item *item = roster_find(user, bare);
    return item && (item->flags & ROSTER_FROM);
}

bool presence_is_shared(const struct session *session, const char *bare)
{
    return is_subscribed(session->user, bare) || directed_has_bare(session->directed, bare);
}

/* Everybody in the roster who is subscribed to the user. */
static void each_subscriber(const struct session *session, const struct stanza *stanza)
{
    const struct roster *roster = roster_of(session->user);
    struct presence_fan fan;
    presence_fan_open(&fan, session, stanza);
    for (size_t i = 0; roster && i < roster->count; i++) {
        const char *contact = roster_jid(roster->items[i]);
        if (!(roster->items[i]->flags & ROSTER_FROM) || is_moot(session, contact)) continue;
        if (!presence_fan_put(&fan, contact)) send_text(session, stanza, contact);
    }
    presence_fan_close(&fan);
}

/* All available resources, the one that has sent it too (section 4.2.2). */
static void tell_own(struct user *user, const struct stanza *stanza)
{
    struct stanza *copy = stanza_copy(stanza);
    elem_set(copy->elem, "to", user->bare);
    LIST_EACH (link, &user->sessions) {
        struct session *session = LIST_ENTRY(link, struct session, link);
        if (session->available) session_send(session, copy);
    }
    stanza_free(&copy);
}

struct presence *presence_make_room(void)
{
    return mem_alloc(ROOM_BYTES);
}

static void drop(struct session *session)
{
    if (session->presence != session->room) free(session->presence);
    session->presence = NULL;
}

static void keep(struct session *session, const struct stanza *stanza)
{
    struct buf text = {0};
    elem_set(stanza->elem, "from", NULL);
    elem_print(stanza->elem, NS_CLIENT, &text);
    elem_set(stanza->elem, "from", stanza->from->full);
    drop(session);
    const size_t size_bytes = sizeof(struct presence) + buf_len(&text);
    session->presence = size_bytes <= ROOM_BYTES ? session->room : mem_alloc(size_bytes);
    session->presence->stamp_ms = delay_now();
    session->presence->len = buf_len(&text);
    memcpy(session->presence->text, buf_data(&text), buf_len(&text));
    buf_free(&text);
}

struct stanza *presence_recall(const struct session *session, const struct jid *to)
{
    const struct presence *last = session->presence;
    struct elem *elem = elem_parse(&session->user->shard->parser, last->text, last->len);
    if (!elem) elem = elem_new(arena_new(), NS_CLIENT, "presence"); /* as if it had no content */
    struct stanza *stanza = stanza_new(elem);
    CHECK(stanza);
    stanza_address(stanza, jid_dup(session->jid), jid_dup(to));
    delay_add(elem, session->jid->domain, last->stamp_ms);
    return stanza;
}

/* read_priority - section 4.7.2.3: an xs:byte, at most once; 0 without. */
static bool read_priority(const struct elem *presence, int *out)
{
    static const char SPACE[] = " \t\r\n";
    *out = 0;
    const struct elem *priority = elem_child(presence, NS_CLIENT, "priority");
    if (!priority) return true;
    const char *text = elem_text(priority, NULL);
    text += strspn(text, SPACE);
    char *end = NULL;
    const long value = strtol(text, &end, 10);
    if (end == text || value < -128 || value > 127 || end[strspn(end, SPACE)] != '\0') return false;
    *out = (int)value;
    for (const struct elem *more = elem_next_element(priority); more; more = elem_next_element(more))
        if (elem_is(more, NS_CLIENT, "priority")) return false;
    return true;
}

/* The other resources of the user, which the new one knows nothing of: it is subscribed to them as well. */
static void tell_newcomer(struct user *user, struct session *newcomer)
{
    LIST_EACH (link, &user->sessions) {
        const struct session *session = LIST_ENTRY(link, struct session, link);
        if (session == newcomer || !session->available) continue;
        struct stanza *stanza = presence_recall(session, newcomer->jid);
        session_send(newcomer, stanza);
        stanza_free(&stanza);
        if (newcomer->left) return; /* by so much; and it may be the next in the list */
    }
}

static struct stanza *probe_from(const struct session *session, const struct jid *from)
{
    struct elem *elem = elem_new(arena_new(), NS_CLIENT, "presence");
    elem_set(elem, "type", "probe");
    struct stanza *probe = stanza_new(elem);
    CHECK(probe);
    stanza_address(probe, jid_dup(from), jid_dup(session->bare));
    return probe;
}

/* Section 4.3.1: from the bare address.  Contacts at home here are asked from the full one, as no other server sees
 * that, and so the answers come to the resource that needs them. */
static void probe_contacts(struct session *session)
{
    struct stanza *here = NULL, *elsewhere = NULL;
    const struct roster *roster = roster_of(session->user);
    for (size_t i = 0; roster && i < roster->count; i++) {
        if (!(roster->items[i]->flags & ROSTER_TO)) continue;
        const char *contact = roster_jid(roster->items[i]), *at = strchr(contact, '@');
        if (session->left) break; /* by so many answers */
        if (presence_gather(session, contact)) continue;
        const bool ours = hosts_find(shard_hosts(session->user->shard), at ? at + 1 : contact) != NULL;
        struct stanza **probe = ours ? &here : &elsewhere;
        if (!*probe) *probe = probe_from(session, ours ? session->jid : session->bare);
        (*probe)->quiet = ours;
        send_text(session, *probe, contact);
    }
    stanza_free(&here);
    stanza_free(&elsewhere);
}

static void call_hooks(struct user *user, struct session *session, const struct presence_change *change)
{
    for (size_t i = 0; i < ARRAY_LEN(HOOKS); i++)
        HOOKS[i](user, session, change);
}

static void become_available(struct user *user, struct session *session, const struct stanza *stanza, int priority)
{
    const struct presence_change change = {stanza, session->available, session->priority};
    keep(session, stanza);
    session->available = true;
    session->priority = (int16_t)priority;
    each_subscriber(session, stanza);
    tell_own(user, stanza);
    if (session->left) return; /* while the stanza was held; its farewell comes next */
    if (!change.was_available) {
        tell_newcomer(user, session);
        probe_contacts(session);
    }
    call_hooks(user, session, &change);
}

void presence_clear(struct session *session)
{
    session->available = false;
    session->priority = 0;
    drop(session);
    directed_free(&session->directed);
}

static void become_unavailable(struct user *user, struct session *session, const struct stanza *stanza)
{
    const struct presence_change change = {stanza, session->available, session->priority};
    if (change.was_available) {
        each_subscriber(session, stanza);
        tell_own(user, stanza);
    }
    const char *text = NULL;
    while ((text = directed_next(session->directed, text)) != NULL) {
        struct jid *to = jid_parse(text, strlen(text), NULL);
        if (to && change.was_available && is_subscribed(user, to->bare)) {
            jid_free(&to); /* it knows already */
        } else if (to) {
            send_copy(session, stanza, to);
        }
    }
    presence_clear(session);
    if (change.was_available) call_hooks(user, session, &change);
}

/* The session that a presence stanza came from: one that has left is older than another with its resource, and what is
 * handled before its farewell is its own. */
static struct session *sender_of(const struct user *user, const struct stanza *stanza)
{
    LIST_EACH (link, &user->departed) {
        struct session *session = LIST_ENTRY(link, struct session, link);
        if (strcmp(session->jid->resource, stanza->from->resource) == 0) return session;
    }
    return session_find(user, stanza->from->resource);
}

static void broadcast(struct user *user, struct session *session, struct stanza *stanza)
{
    int priority = 0;
    if (arena_bytes(stanza->elem->arena) > BROADCAST_MAX_BYTES) {
        stanza_error_answer(user->shard, stanza, STANZA_ERROR_NOT_ACCEPTABLE, "a presence may not be that large");
    } else if (stanza->type == STANZA_UNAVAILABLE) {
        become_unavailable(user, session, stanza);
    } else if (read_priority(stanza->elem, &priority)) {
        become_available(user, session, stanza, priority);
    } else {
        stanza_error_answer(user->shard, stanza, STANZA_ERROR_BAD_REQUEST, "priority is a number from -128 to 127");
    }
    const bool farewell = stanza->farewell;
    stanza_free(&stanza);
    if (farewell) session_departed(session);
}

/* Section 4.6.3: who does not hear what is broadcast must be told later that the session is gone. */
static void direct(struct user *user, struct session *session, struct stanza *stanza)
{
    const struct jid *to = stanza->to;
    if (stanza->type == STANZA_UNAVAILABLE) {
        directed_remove(&session->directed, to->full);
    } else if (!(session->available && is_subscribed(user, to->bare)) && !directed_add(&session->directed, to->full)) {
        stanza_error_bounce(user->shard, stanza, STANZA_ERROR_RESOURCE_CONSTRAINT);
        return;
    }
    send_on(user->shard, stanza);
}

void presence_outbound(struct user *user, struct stanza *stanza)
{
    struct session *session = sender_of(user, stanza);
    if (!session) {
        shard_count(user->shard, COUNTER_STANZAS_DROPPED);
        stanza_free(&stanza);
    } else if (stanza->undirected) {
        broadcast(user, session, stanza);
    } else {
        direct(user, session, stanza);
    }
}

/* Section 4.6.1: who has gone need not be told any more that the session goes. */
static void forget_directed(struct user *user, const struct stanza *gone)
{
    LIST_EACH (link, &user->sessions) {
        struct session *session = LIST_ENTRY(link, struct session, link);
        if (!gone->to->resource || strcmp(gone->to->resource, session->jid->resource) == 0)
            directed_remove(&session->directed, gone->from->full);
    }
}

void presence_inbound(struct user *user, struct stanza *stanza)
{
    bool delivered = false;
    if (stanza->type == STANZA_UNAVAILABLE) forget_directed(user, stanza);
    if (stanza->to->resource) {
        struct session *session = session_find(user, stanza->to->resource);
        delivered = session != NULL;
        if (session) session_send(session, stanza);
    } else {
        LIST_EACH (link, &user->sessions) {
            struct session *session = LIST_ENTRY(link, struct session, link);
            if (!session->available || !blocking_allows(user, session, stanza, true)) continue;
            session_send(session, stanza);
            delivered = true;
        }
    }
    if (!delivered) shard_count(user->shard, COUNTER_STANZAS_DROPPED);
    stanza_free(&stanza);
}

static struct stanza *unavailable(const struct session *session, const struct jid *to)
{
    struct elem *elem = elem_new(arena_new(), NS_CLIENT, "presence");
    elem_set(elem, "type", "unavailable");
    struct stanza *stanza = stanza_new(elem);
    CHECK(stanza);
    stanza_address(stanza, jid_dup(session->jid), jid_dup(to));
    return stanza;
}

void presence_tell(const struct user *user, const struct jid *to)
{
    LIST_EACH (link, &user->sessions) {
        const struct session *session = LIST_ENTRY(link, struct session, link);
        if (session->available && blocking_allows_kind(user, session, to, PRIVACY_PRESENCE_OUT))
            send_on(user->shard, presence_recall(session, to));
    }
}

void presence_tell_gone(const struct user *user, const struct jid *to)
{
    LIST_EACH (link, &user->sessions) {
        const struct session *session = LIST_ENTRY(link, struct session, link);
        if (session->available) send_on(user->shard, unavailable(session, to));
    }
}

void presence_ask(const struct user *user, const struct jid *to)
{
    LIST_EACH (link, &user->sessions) {
        const struct session *session = LIST_ENTRY(link, struct session, link);
        if (!session->available) continue;
        struct stanza *probe = probe_from(session, session->bare);
        send_copy(session, probe, jid_dup(to));
        stanza_free(&probe);
        return;
    }
}

void presence_farewell(struct session *session)
{
    struct stanza *stanza = unavailable(session, session->bare);
    elem_set(stanza->elem, "to", NULL);
    stanza->undirected = stanza->farewell = true;
    user_send(session->user, stanza);
}
