#include "backend/offline.h"

#include "backend/archive.h"
#include "backend/delay.h"
#include "backend/host.h"
#include "backend/ns.h"
#include "backend/offline_run.h"
#include "backend/presence.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "backend/user.h"
#include "lib/fault.h"

#include <stdlib.h>
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
    if (elem_child(stanza->elem, NS_HINTS, "store")) return true;
    const struct elem *child = elem_child(stanza->elem, NULL, NULL);
    while (child && !is_content(child))
        child = elem_next_element(child);
    return child != NULL;
}

/* A message on its way into the store. */
struct keeping {
    struct shard *shard;
    struct stanza *stanza;
    size_t bytes;   /* of its arena, as counted in the backlog */
    bool made_room; /* what had expired has been taken out for it */
};

static void keeping_end(struct keeping *k)
{
    atomic_fetch_sub(&k->shard->backlog_bytes, k->bytes);
    stanza_free(&k->stanza);
    free(k);
}

static void keeping_fail(struct keeping *k, enum stanza_error condition)
{
    stanza_error_answer(k->shard, k->stanza, condition, NULL);
    keeping_end(k);
}

static const struct host *host_of(const struct shard *shard, const struct stanza *stanza)
{
    return hosts_find(shard_hosts(shard), stanza->to->domain);
}

bool offline_is_expired(const struct user *user, const struct store_entry *entry)
{
    const char *domain = strchr(user->bare, '@');
    const struct host *host = domain ? hosts_find(shard_hosts(user->shard), domain + 1) : NULL;
    return host && host->offline_expire_ms > 0 && entry->stamp_ms < delay_now() - host->offline_expire_ms;
}

static void add(struct keeping *k);

/* Entries are in order of time. */
static void on_oldest(enum store_status status, const struct store_entry *entries, size_t count, void *arg)
{
    struct keeping *k = arg;
    struct user *user = user_get(k->shard, k->stanza->to->bare);
    uint64_t ids[OFFLINE_SLICE];
    size_t expired = 0;
    while (status == STORE_OK && expired < count && offline_is_expired(user, &entries[expired])) {
        ids[expired] = entries[expired].id;
        expired++;
    }
    if (expired > 0) {
        offline_delete(user, ids, expired);
        add(k); /* before what is held: order is kept */
    } else {
        keeping_fail(k, STANZA_ERROR_SERVICE_UNAVAILABLE);
    }
    user_resume(user);
}

/* The queue is full: perhaps of what nobody wants any more. */
static void make_room(struct keeping *k)
{
    const struct host *host = host_of(k->shard, k->stanza);
    if (k->made_room || !host || host->offline_expire_ms == 0) {
        keeping_fail(k, STANZA_ERROR_SERVICE_UNAVAILABLE);
        return;
    }
    k->made_room = true;
    user_hold(user_get(k->shard, k->stanza->to->bare));
    store_queue_get(k->shard->backend->store, k->shard->mailbox, k->stanza->to->bare, STORE_OFFLINE, 0, OFFLINE_SLICE,
                    on_oldest, k);
}

static void on_added(enum store_status status, uint64_t id, void *arg)
{
    struct keeping *k = arg;
    (void)id;
    switch (status) {
    case STORE_LIMIT:
        make_room(k);
        return;
    case STORE_FULL:
        keeping_fail(k, STANZA_ERROR_RESOURCE_CONSTRAINT);
        return;
    case STORE_OK:
    case STORE_NOT_FOUND: /* no such account, and nobody is told so */
        shard_count(k->shard, status == STORE_OK ? COUNTER_OFFLINE_STORED : COUNTER_STANZAS_DROPPED);
        keeping_end(k);
        return;
    default:
        keeping_fail(k, STANZA_ERROR_INTERNAL_SERVER_ERROR);
    }
}

static char some; /* a user's part when there may be something in its queue */

void *offline_load(struct user *user, const struct store_record *records, size_t count)
{
    (void)user, (void)records, (void)count;
    return &some;
}

void offline_free(void *part)
{
    (void)part;
}

void offline_note(struct user *user)
{
    user->parts[USER_PART_OFFLINE] = &some;
}

static void add(struct keeping *k)
{
    struct user *user = user_find(k->shard, k->stanza->to->bare);
    if (user) offline_note(user);
    struct buf text = {0};
    const struct host *host = host_of(k->shard, k->stanza);
    const struct store_limit limit = {host ? host->offline_messages : 1, host ? host->offline_bytes : 1};
    stanza_print(k->stanza, &text);
    store_queue_add(k->shard->backend->store, k->shard->mailbox, k->stanza->to->bare, STORE_OFFLINE, delay_now(),
                    (const char *)buf_data(&text), buf_len(&text), &limit, on_added, k);
    buf_free(&text);
}

void offline_store(struct user *user, struct stanza *stanza)
{
    if (stanza->stored_id != 0) {
        stanza_free(&stanza); /* it is there already */
        return;
    }
    const struct host *host = host_of(user->shard, stanza);
    if (!host || host->offline_messages == 0) {
        stanza_error_bounce(user->shard, stanza, STANZA_ERROR_SERVICE_UNAVAILABLE);
        return;
    }
    archive_incoming(user, stanza);
    struct keeping *k = MEM_NEW(struct keeping);
    k->shard = user->shard;
    k->stanza = stanza;
    k->bytes = arena_bytes(stanza->elem->arena);
    atomic_fetch_add(&k->shard->backlog_bytes, k->bytes);
    add(k);
}

static void on_deleted(enum store_status status, void *arg)
{
    (void)status; /* the store has logged it */
    (void)arg;
}

void offline_delete(struct user *user, const uint64_t *ids, size_t count)
{
    fault_point(FAULT_OFFLINE_DELETE);
    store_queue_del(user->shard->backend->store, user->shard->mailbox, user->bare, STORE_OFFLINE, ids, count, 0,
                    on_deleted, NULL);
}

void offline_on_presence(struct user *user, struct session *session, const struct presence_change *change)
{
    const bool took = change->was_available && change->was_priority >= 0;
    const bool takes = session->available && session->priority >= 0;
    if (takes && !took) {
        if (user->parts[USER_PART_OFFLINE]) offline_run_begin(user, session);
    } else if (took && !takes) {
        offline_run_end(session);
    }
}
