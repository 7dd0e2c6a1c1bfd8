#include "backend/roster_push.h"

#include "backend/ns.h"
#include "backend/roster.h"

#include <stdio.h>
#include <stdlib.h>

enum { ID_BYTES = 24, VERSION_BYTES = 21 };

void roster_push_version(struct elem *query, uint64_t version)
{
    char text[VERSION_BYTES];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)version);
    elem_set(query, "ver", text);
}

/* A push of one contact, or of one that is not there any more, to nobody yet. */
static struct stanza *push_new(const char *bare, const struct roster_item *item, uint64_t version)
{
    static _Atomic unsigned long number;
    char id[ID_BYTES];
    struct elem *iq = elem_new(arena_new(), NS_CLIENT, "iq");
    snprintf(id, sizeof(id), "push%lx", ++number);
    elem_set(iq, "id", id);
    elem_set(iq, "type", "set");
    struct elem *query = elem_add(iq, NS_ROSTER, "query");
    roster_push_version(query, version);
    if (item && (item->flags & ROSTER_LISTED)) {
        roster_item_add(item, query);
    } else {
        struct elem *gone = elem_add(query, NULL, "item");
        elem_set(gone, "jid", bare);
        elem_set(gone, "subscription", "remove");
    }
    return stanza_new(iq);
}

static void send_to(struct session *session, struct stanza *push)
{
    elem_set(push->elem, "to", session->jid->full);
    session_send(session, push);
}

void roster_push(const struct user *user, const char *bare)
{
    const struct roster *roster = roster_of(user);
    struct stanza *push = push_new(bare, roster_find(user, bare), roster ? roster->version : 0);
    LIST_EACH (link, &user->sessions) {
        struct session *session = LIST_ENTRY(link, struct session, link);
        if (session->interested) send_to(session, push);
    }
    stanza_free(&push);
}

static int by_version(const void *a, const void *b)
{
    const struct roster_item *const *x = a, *const *y = b;
    return ((*x)->version > (*y)->version) - ((*x)->version < (*y)->version);
}

void roster_push_missed(struct session *session, uint64_t version)
{
    const struct roster *roster = roster_of(session->user);
    const struct roster_item **missed = mem_alloc((roster->count + 1) * sizeof(struct roster_item *));
    size_t count = 0;
    for (size_t i = 0; i < roster->count; i++)
        if (roster->items[i]->version > version) missed[count++] = roster->items[i];
    qsort(missed, count, sizeof(struct roster_item *), by_version);
    for (size_t i = 0; i < count; i++) {
        struct stanza *push = push_new(roster_jid(missed[i]), missed[i], missed[i]->version);
        send_to(session, push);
        stanza_free(&push);
    }
    free(missed);
}
