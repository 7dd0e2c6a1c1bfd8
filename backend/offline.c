#include "backend/offline.h"

#include "backend/ns.h"
#include "backend/shard.h"
#include "backend/user.h"

#include <string.h>

/* Chat states (XEP-0085) alone are of no use later. */
static bool is_content(const struct elem *child)
{
    return strcmp(child->ns, NS_CHAT_STATES) != 0 && !elem_is(child, NS_CLIENT, "thread");
}

bool offline_is_storable(const struct stanza *stanza)
{
    if (stanza->kind != STANZA_MESSAGE || (stanza->type != STANZA_NORMAL && stanza->type != STANZA_CHAT)) return false;
    if (elem_child(stanza->elem, NS_HINTS, "no-store")) return false;
    const struct elem *child = elem_child(stanza->elem, NULL, NULL);
    while (child && !is_content(child))
        child = elem_next_element(child);
    return child != NULL;
}

static void on_deleted(enum store_status status, void *arg)
{
    (void)status; /* the store has logged it */
    (void)arg;
}

void offline_delete(struct user *user, const uint64_t *ids, size_t count)
{
    store_queue_del(user->shard->backend->store, user->shard->mailbox, user->bare, STORE_OFFLINE, ids, count, 0,
                    on_deleted, NULL);
}
