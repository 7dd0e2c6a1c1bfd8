#include "backend/offline_run.h"

#include "backend/delay.h"
#include "backend/elem_parse.h"
#include "backend/offline.h"
#include "backend/presence.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/sm.h"
#include "backend/user.h"
#include "lib/log.h"

#include <stdlib.h>

/* The user is held while what may be the last of the queue is read: nothing can be added behind it meanwhile, so its
 * end is the end.  Nearly always that is the first reading. */
struct offline_run {
    struct user *user;
    struct session *session; /* NULL: it has left meanwhile */
    uint64_t after;          /* the last entry that was read */
    bool reading;            /* the store is asked */
    bool last;
};

static void on_entries(enum store_status status, const struct store_entry *entries, size_t count, void *arg);

static void read_more(struct offline_run *run)
{
    struct shard *shard = run->user->shard;
    run->reading = true;
    user_pin(run->user);
    store_queue_get(shard->backend->store, shard->mailbox, run->user->bare, STORE_OFFLINE, run->after, OFFLINE_SLICE,
                    on_entries, run);
}

/* The last stage begins or ends. */
static void set_last(struct offline_run *run, bool last)
{
    if (run->last == last) return;
    run->last = last;
    if (last) {
        user_hold(run->user);
    } else {
        user_resume(run->user);
    }
}

static bool takes_messages(const struct session *session)
{
    return session->available && session->priority >= 0;
}

/* finish - the user is pinned or held by the caller. */
static void finish(struct offline_run *run)
{
    if (run->session) run->session->offline = NULL;
    set_last(run, false);
    free(run);
}

/* let_go - the session is given no more. */
static void let_go(struct session *session)
{
    struct offline_run *run = session->offline;
    session->offline = NULL;
    run->session = NULL;
    if (!run->reading) finish(run); /* else the answer finds nobody */
}

/* is_taken - whether a session is being given what has waited.  One whose connection is broken is no reason to wait
 * for it: what it has not been sent yet goes to the next. */
static bool is_taken(const struct user *user)
{
    LIST_EACH (link, &user->sessions) {
        struct session *session = LIST_ENTRY(link, struct session, link);
        if (session->offline && session->stream) return true;
        if (session->offline) let_go(session);
    }
    return false;
}

void offline_run_begin(struct user *user, struct session *session)
{
    if (user->temporary || is_taken(user)) return;
    struct offline_run *run = MEM_NEW(struct offline_run);
    run->user = user;
    run->session = session;
    session->offline = run;
    set_last(run, true);
    read_more(run);
}

/* Another session gets what this one has not been given: one that is connected, if there is such a one. */
static void pass_on(struct user *user)
{
    struct session *next = NULL;
    LIST_EACH (link, &user->sessions) {
        struct session *session = LIST_ENTRY(link, struct session, link);
        if (takes_messages(session) && (!next || (session->stream && !next->stream))) next = session;
    }
    if (next) offline_run_begin(user, next);
}

void offline_run_end(struct session *session)
{
    struct offline_run *run = session->offline;
    if (!run) return;
    struct user *user = run->user;
    const bool reading = run->reading;
    user_pin(user);
    let_go(session);
    if (!reading) pass_on(user);
    user_unpin(user);
}

/* Some session has been sent it, and may acknowledge it yet. */
static bool is_on_its_way(const struct user *user, uint64_t id)
{
    LIST_EACH (link, &user->sessions) {
        const struct session *session = LIST_ENTRY(link, struct session, link);
        if (session->sm && sm_queue_has(&session->sm->queue, id)) return true;
    }
    return false;
}

static void send_entry(struct offline_run *run, const struct store_entry *entry)
{
    struct user *user = run->user;
    struct elem *elem = elem_parse(&user->shard->parser, entry->text, entry->len);
    struct stanza *stanza = elem ? stanza_read(elem) : NULL;
    if (!stanza) {
        log_msg(LOG_LEVEL_ERROR, "store_tampered",
                "offline messages of %s: number %llu is not what this program writes", user->bare,
                (unsigned long long)entry->id);
        return;
    }
    delay_add(stanza->elem, stanza->to->domain, entry->stamp_ms);
    stanza->stored_id = entry->id;
    session_send(run->session, stanza);
    stanza_free(&stanza);
}

/* send_slice - whether all of it was dealt with: large messages are not sent faster than the client reads them. */
static bool send_slice(struct offline_run *run, const struct store_entry *entries, size_t count)
{
    for (size_t i = 0; i < count && run->session; i++) {
        if (i > 0 && session_is_behind(run->session)) return false;
        run->after = entries[i].id;
        if (offline_is_expired(run->user, &entries[i])) {
            offline_delete(run->user, &entries[i].id, 1);
        } else if (!is_on_its_way(run->user, entries[i].id)) {
            send_entry(run, &entries[i]);
        }
    }
    return true;
}

static void on_entries(enum store_status status, const struct store_entry *entries, size_t count, void *arg)
{
    struct offline_run *run = arg;
    struct user *user = run->user;
    /* the session may leave by it: reading keeps the run */
    const bool all = send_slice(run, entries, status == STORE_OK ? count : 0);
    run->reading = false;
    if (!run->session) {
        finish(run);
        pass_on(user);
    } else if (!all || count == OFFLINE_SLICE) {
        offline_run_continue(run->session);
        set_last(run, false); /* what was held may end the run: it is not looked at any more */
    } else if (run->last || status != STORE_OK) {
        finish(run);
    } else {
        set_last(run, true);
        read_more(run);
    }
    user_unpin(user);
}

void offline_run_continue(struct session *session)
{
    struct offline_run *run = session->offline;
    if (run && !run->reading && !session_is_behind(session)) read_more(run);
}
