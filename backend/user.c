#include "backend/user.h"

#include "backend/archive.h"
#include "backend/delivery.h"
#include "backend/outbound.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "backend/stream.h"
#include "backend/user_call.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    USER_MAGIC = 0x75736572,
    HELD_MAX_BYTES = 256 * 1024,                 /* then the user's own clients pause */
    HELD_FROM_OTHERS_MAX_BYTES = 8 * 1024 * 1024 /* then others are refused: they cannot be paused for this user */
};

static struct user *user_of(void *arg)
{
    struct user *user = arg;
    CHECK_MAGIC(user, USER_MAGIC);
    return user;
}

struct user *user_find(struct shard *shard, const char *bare)
{
    struct user *user = map_get_str(shard->users, bare);
    return user ? user_of(user) : NULL;
}

static struct user *add(struct shard *shard, const char *bare)
{
    struct user *user = MEM_NEW(struct user);
    user->magic = USER_MAGIC;
    user->shard = shard;
    user->bare = mem_strdup(bare);
    list_init(&user->streams);
    list_init(&user->sessions);
    list_init(&user->departed);
    list_init(&user->held);
    list_init(&user->calls);
    map_set_str(shard->users, bare, user);
    return user;
}

struct user *user_get(struct shard *shard, const char *bare)
{
    struct user *user = user_find(shard, bare);
    return user ? user : add(shard, bare);
}

static void let_go(struct user *user)
{
    LIST_EACH (link, &user->departed)
        session_departed(LIST_ENTRY(link, struct session, link));
}

void user_free(struct user *user)
{
    let_go(user);
    user_call_drop(user);
    LIST_EACH (link, &user->held) {
        struct stanza *stanza = LIST_ENTRY(link, struct stanza, link);
        list_remove(link);
        stanza_free(&stanza);
    }
    user_parts_free(user);
    free(user->bare);
    user->magic = 0;
    free(user);
}

static bool is_kept(const struct user *user)
{
    return !list_empty(&user->streams) || !list_empty(&user->sessions) || !list_empty(&user->held) ||
           !list_empty(&user->calls) || !list_empty(&user->departed) || user->cut_off_ms != 0 || user->holds > 0 ||
           user->pins > 0 || user->draining || user->state == USER_LOADING;
}

void user_release(struct user *user)
{
    if (is_kept(user)) return;
    map_del_str(user->shard->users, user->bare);
    deadline_disarm(&user->forget);
    user_free(user);
}

static void handle(struct user *user, struct stanza *stanza)
{
    if (stanza->outbound) {
        outbound_take(user, stanza);
    } else {
        delivery_take(user, stanza);
    }
}

static struct stanza *next_held(struct user *user)
{
    struct list *link = list_first(&user->held);
    struct stanza *stanza = LIST_ENTRY(link, struct stanza, link);
    list_remove(link);
    user->held_bytes -= arena_bytes(stanza->elem->arena);
    return stanza;
}

static bool is_free(const struct user *user)
{
    return user->state == USER_READY && user->holds == 0;
}

static bool has_waiting(const struct user *user)
{
    return !list_empty(&user->held) || !list_empty(&user->calls);
}

static void do_next(struct user *user)
{
    if (!list_empty(&user->calls)) {
        user_call_next(user, user);
    } else {
        handle(user, next_held(user));
    }
}

/* drain - handle what was held, as far as nothing holds the user again; it may be gone afterwards. */
static void drain(struct user *user)
{
    if (user->draining) return;
    user->draining = true;
    while (is_free(user) && !user->stale && has_waiting(user))
        do_next(user);
    user->draining = false;
    if (user->stale && user->holds == 0 && user->state == USER_READY) {
        user->stale = false;
        user->state = USER_UNKNOWN;
        user_parts_free(user);
        if (has_waiting(user)) user_load(user);
    }
    user_release(user);
}

static void hold_stanza(struct user *user, struct stanza *stanza)
{
    list_append(&user->held, &stanza->link);
    user->held_bytes += arena_bytes(stanza->elem->arena);
    user_load(user);
}

bool user_is_open(const struct user *user)
{
    return is_free(user) && !user->stale && !user->draining && list_empty(&user->held);
}

void user_begin(struct user *user)
{
    user->draining = true;
}

void user_end(struct user *user)
{
    user->draining = false;
    drain(user);
}

static void take(struct user *user, struct stanza *stanza)
{
    if (user_is_open(user)) {
        user_begin(user);
        handle(user, stanza);
        user_end(user);
    } else {
        hold_stanza(user, stanza);
    }
}

void user_deliver(struct shard *shard, struct stanza *stanza)
{
    struct user *user = user_find(shard, stanza->to->bare);
    if (delivery_is_moot(user, stanza)) {
        shard_count(shard, COUNTER_STANZAS_DROPPED);
        stanza_free(&stanza);
        return;
    }
    if (!user) user = add(shard, stanza->to->bare);
    if (user->held_bytes < HELD_FROM_OTHERS_MAX_BYTES) {
        take(user, stanza);
    } else {
        stanza_error_bounce(shard, stanza, STANZA_ERROR_RESOURCE_CONSTRAINT);
    }
}

bool user_send(struct user *user, struct stanza *stanza)
{
    struct shard *shard = user->shard;
    stanza->outbound = true;
    shard->ahead = false;
    const bool room = user->held_bytes < HELD_MAX_BYTES;
    take(user, stanza); /* a session keeps the user */
    return room && !shard->ahead;
}

void user_hold(struct user *user)
{
    user->holds++;
}

void user_resume(struct user *user)
{
    CHECK(user->holds > 0);
    user->holds--;
    drain(user);
}

void user_pin(struct user *user)
{
    user->pins++;
}

void user_unpin(struct user *user)
{
    CHECK(user->pins > 0);
    user->pins--;
    user_release(user);
}

void user_deliver_first(struct user *user, struct list *stanzas)
{
    CHECK(user->holds > 0);
    struct list *place = user->held.next; /* in front of this one */
    LIST_EACH (link, stanzas) {
        list_remove(link);
        list_append(place, link);
        user->held_bytes += arena_bytes(LIST_ENTRY(link, struct stanza, link)->elem->arena);
    }
}

/* The store could not be read: whoever asked is told so, and may try again. */
static void give_up(struct user *user)
{
    user->state = USER_UNKNOWN;
    user->draining = true;
    while (!list_empty(&user->held))
        stanza_error_bounce(user->shard, next_held(user), STANZA_ERROR_INTERNAL_SERVER_ERROR);
    while (!list_empty(&user->calls))
        user_call_next(user, NULL);
    user->draining = false;
    let_go(user);
    LIST_EACH (link, &user->streams)
        stream_user_ready(LIST_ENTRY(link, struct stream, user_link), false);
    user_release(user);
}

static void on_loaded(enum store_status status, const struct store_record *records, size_t count, void *arg)
{
    struct user *user = user_of(arg);
    if (status != STORE_OK && status != STORE_NOT_FOUND) {
        give_up(user);
        return;
    }
    user->exists = status == STORE_OK;
    user->state = USER_READY;
    user_parts_load(user, records, count);
    user_pin(user);
    drain(user);
    LIST_EACH (link, &user->streams)
        stream_user_ready(LIST_ENTRY(link, struct stream, user_link), true);
    user_unpin(user);
}

void user_load(struct user *user)
{
    if (user->state != USER_UNKNOWN) return;
    if (user->temporary) {
        user->state = USER_READY;
        user->exists = true;
        return;
    }
    user->state = USER_LOADING;
    archive_ask_last(user);
    store_records_get(user->shard->backend->store, user->shard->mailbox, user->bare, user_parts_kinds(), NULL,
                      on_loaded, user);
}

struct cut_off {
    struct shard *shard;
    char *bare, *keep;
    const char *condition;
};

/* Not the time of the loop's turn: that may be before an exchange on another shard has begun. */
static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void on_cut_off(void *arg)
{
    struct cut_off *c = arg;
    struct user *user = user_get(c->shard, c->bare);
    user->cut_off_ms = now_ms();
    deadline_arm(c->shard->forget, &user->forget);
    LIST_EACH (link, &user->streams) {
        struct stream *stream = LIST_ENTRY(link, struct stream, user_link);
        if (c->keep && stream->session && strcmp(stream->session->jid->full, c->keep) == 0) continue;
        stream_fail(stream, END_ACCOUNT_CHANGED, c->condition, NULL);
    }
    user_end_detached(user);
    /* from here on: who goes takes leave of those it knew */
    user->stale = user->state != USER_UNKNOWN && !c->keep;
    drain(user);
    free(c->bare);
    free(c->keep);
    free(c);
}

void user_end_detached(struct user *user)
{
    user_hold(user); /* whoever hears that one leaves may have to leave, too, and is not to while we walk */
    LIST_EACH (link, &user->sessions) {
        struct session *session = LIST_ENTRY(link, struct session, link);
        if (!session->stream) session_end(&session);
    }
    user_resume(user);
}

void user_end_streams(struct shard *owner, const char *bare, const char *condition, const char *keep)
{
    struct cut_off *c = MEM_NEW(struct cut_off);
    c->shard = owner;
    c->bare = mem_strdup(bare);
    c->keep = mem_strdup(keep);
    c->condition = condition;
    mailbox_post(owner->mailbox, on_cut_off, c);
}

void user_on_forget(struct deadline *deadline, void *shard)
{
    (void)shard;
    struct user *user = user_of(CONTAINER_OF(deadline, struct user, forget));
    user->cut_off_ms = 0;
    user_release(user);
}
