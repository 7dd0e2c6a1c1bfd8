/* subscription_request - requests that wait for the user's answer, given to each client that becomes available.
 *
 * They are kept as they came, so that whoever answers sees the words and the name that came with them.  The user is
 * held until the client has them all.  Source: RFC 6121 section 3.1.3. */
#include "backend/elem_parse.h"
#include "backend/presence.h"
#include "backend/roster.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/subscription.h"
#include "lib/log.h"

#include <stdlib.h>
#include <string.h>

/* A client that is waited for by nobody may have left when the store answers. */
struct delivery_to {
    struct user *user;
    char *resource;
};

static void deliver(const struct user *user, struct session *session, const struct store_record *record)
{
    struct elem *elem = elem_parse(&user->shard->parser, record->value, strlen(record->value));
    struct stanza *stanza = elem ? stanza_new(elem) : NULL;
    if (stanza) {
        session_send(session, stanza);
    } else {
        log_msg(LOG_LEVEL_ERROR, "store_tampered", "request of %s to %s: the record is not what this program writes",
                record->key, user->bare);
    }
    elem_free(&elem);
}

static void on_read(enum store_status status, const struct store_record *records, size_t count, void *arg)
{
    struct delivery_to *to = arg;
    struct user *user = to->user;
    for (size_t i = 0; status == STORE_OK && i < count; i++) {
        struct session *session = session_find(user, to->resource);
        if (session && (roster_flags(user, records[i].key) & ROSTER_PENDING_IN)) deliver(user, session, &records[i]);
    }
    free(to->resource);
    free(to);
    user_resume(user);
}

static bool is_only_one(const struct user *user, const struct session *session)
{
    LIST_EACH (link, &user->sessions) {
        const struct session *other = LIST_ENTRY(link, struct session, link);
        if (other != session && other->available) return false;
    }
    return true;
}

void subscription_request_on_presence(struct user *user, struct session *session, const struct presence_change *change)
{
    if (change->was_available || !session->available) return;
    if (is_only_one(user, session)) subscription_again(user);
    if (roster_count(user, ROSTER_PENDING_IN) == 0) return;
    struct delivery_to *to = MEM_NEW(struct delivery_to);
    to->user = user;
    to->resource = mem_strdup(session->jid->resource);
    user_hold(user);
    store_records_get(user->shard->backend->store, user->shard->mailbox, user->bare, 1U << STORE_REQUEST, NULL, on_read,
                      to);
}
