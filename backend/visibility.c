#include "backend/visibility.h"

#include "backend/blocking.h"
#include "backend/directed.h"
#include "backend/ns.h"
#include "backend/presence.h"
#include "backend/privacy.h"
#include "backend/roster.h"
#include "backend/router.h"
#include "backend/session.h"
#include "backend/shard.h"

#include <stdlib.h>
#include <string.h>

enum { SEEN = 1, SEES = 2 }; /* the contact may see the session; the session may see the contact */

/* A byte for each session and contact, in the order in which they are walked through. */
struct visibility {
    size_t count; /* room */
    uint8_t bytes[];
};

struct visibility_walk {
    struct user *user;
    struct visibility *noted;
    size_t at;
    bool settle;
};

static void send_away(struct user *user, const char *type, const struct jid *from, const struct jid *to,
                      struct session *session)
{
    struct elem *elem = elem_new(arena_new(), NS_CLIENT, "presence");
    elem_set(elem, "type", type);
    struct stanza *stanza = stanza_new(elem);
    CHECK(stanza);
    stanza_address(stanza, jid_dup(from), jid_dup(to));
    if (session) {
        session_send(session, stanza);
        stanza_free(&stanza);
    } else {
        router_deliver(user->shard, stanza);
    }
}

static bool may(struct user *user, const struct session *session, const struct jid *other, unsigned kind)
{
    return blocking_allows_kind(user, session, other, kind);
}

/* What has changed between a session and a contact: SEEN and SEES as they were and are.  flags: of the roster. */
static void settle(struct visibility_walk *walk, struct session *session, const struct jid *other, uint8_t flags,
                   unsigned was, unsigned is)
{
    struct user *user = walk->user;
    if ((was & SEEN) && !(is & SEEN)) send_away(user, "unavailable", session->jid, other, NULL);
    if (!(was & SEEN) && (is & SEEN) && (flags & ROSTER_FROM))
        router_deliver(user->shard, presence_recall(session, other));
    if (!(flags & ROSTER_TO)) return;
    if ((was & SEES) && !(is & SEES)) send_away(user, "unavailable", other, session->jid, session);
    if (!(was & SEES) && (is & SEES)) send_away(user, "probe", session->jid, other, NULL);
}

static void visit(struct visibility_walk *walk, struct session *session, const char *text, uint8_t flags)
{
    struct jid *other = jid_parse(text, strlen(text), NULL);
    unsigned is = 0;
    if (other && may(walk->user, session, other, PRIVACY_PRESENCE_OUT)) is |= SEEN;
    if (other && may(walk->user, session, other, PRIVACY_PRESENCE_IN)) is |= SEES;
    CHECK(walk->at < walk->noted->count);
    uint8_t *byte = &walk->noted->bytes[walk->at++];
    if (!walk->settle) {
        *byte = (uint8_t)is;
    } else if (other) {
        settle(walk, session, other, flags, *byte, is);
    }
    jid_free(&other);
}

static void visit_all(struct visibility_walk *walk, struct session *session)
{
    const struct roster *roster = roster_of(walk->user);
    for (size_t i = 0; roster && i < roster->count; i++)
        if (roster->items[i]->flags & (ROSTER_FROM | ROSTER_TO))
            visit(walk, session, roster_jid(roster->items[i]), roster->items[i]->flags);
    for (const char *text = NULL; (text = directed_next(session->directed, text)) != NULL;)
        visit(walk, session, text, 0);
}

static size_t count_all(const struct user *user)
{
    size_t sessions = 0, directed = 0;
    const struct roster *roster = roster_of(user);
    LIST_EACH (link, &user->sessions) {
        const struct session *session = LIST_ENTRY(link, struct session, link);
        if (!session->available) continue;
        sessions++;
        for (const char *text = NULL; (text = directed_next(session->directed, text)) != NULL;)
            directed++;
    }
    return sessions * (roster ? roster->count : 0) + directed;
}

static void walk_all(struct visibility_walk *walk)
{
    LIST_EACH (link, &walk->user->sessions) {
        struct session *session = LIST_ENTRY(link, struct session, link);
        if (session->available) visit_all(walk, session);
    }
}

struct visibility *visibility_note(struct user *user)
{
    const size_t count = count_all(user);
    if (count == 0) return NULL;
    struct visibility *noted = mem_alloc(sizeof(*noted) + count);
    noted->count = count;
    struct visibility_walk walk = {.user = user, .noted = noted};
    walk_all(&walk);
    return noted;
}

void visibility_settle(struct user *user, struct visibility **before)
{
    if (!*before) return;
    struct visibility_walk walk = {.user = user, .noted = *before, .settle = true};
    walk_all(&walk);
    free(*before);
    *before = NULL;
}
