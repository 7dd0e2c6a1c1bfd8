#include "backend/session.h"

#include "backend/archive_run.h"
#include "backend/host.h"
#include "backend/notice.h"
#include "backend/ns.h"
#include "backend/offline.h"
#include "backend/offline_run.h"
#include "backend/presence.h"
#include "backend/shard.h"
#include "backend/sm.h"
#include "backend/sm_share.h"
#include "backend/stanza_error.h"
#include "backend/stream.h"
#include "lib/log.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

enum { MADE_UP_CHARACTERS = 16, BEHIND_STANZAS = 32, BEHIND_BYTES = 65536 };

struct session *session_find(const struct user *user, const char *resource)
{
    LIST_EACH (link, &user->sessions) {
        struct session *session = LIST_ENTRY(link, struct session, link);
        if (strcmp(session->jid->resource, resource) == 0) return session;
    }
    return NULL;
}

static struct jid *full_jid(const struct jid *bare, const char *resource)
{
    if (resource && *resource) return jid_with_resource(bare, resource, NULL);
    char made_up[2 * STREAM_ID_BYTES + 1];
    stream_random_id(made_up);
    made_up[MADE_UP_CHARACTERS] = '\0';
    return jid_with_resource(bare, made_up, NULL);
}

/* RFC 6120 section 7.7.2.2: another session of the user may have the resource.  May change *jid; false and *error: the
 * newcomer may not have it. */
static bool settle_conflict(struct user *user, const struct stream *stream, struct jid **jid, int *error)
{
    struct session *old = session_find(user, (*jid)->resource);
    if (!old) return true;
    switch (stream->host->conflict) {
    case HOST_CONFLICT_REPLACE:
        if (old->stream) {
            stream_fail(old->stream, END_CONFLICT, "conflict", "another client took this resource");
        } else {
            session_end(&old);
        }
        return true;
    case HOST_CONFLICT_REFUSE:
        *error = STANZA_ERROR_CONFLICT;
        return false;
    case HOST_CONFLICT_RENAME:
        break;
    }
    struct jid *other = full_jid(*jid, NULL);
    jid_free(jid);
    *jid = other;
    return true;
}

struct session *session_bind(struct user *user, struct stream *stream, const struct jid *bare, const char *resource,
                             int *error)
{
    struct jid *jid = full_jid(bare, resource);
    if (!jid) {
        *error = STANZA_ERROR_BAD_REQUEST;
        return NULL;
    }
    if (!settle_conflict(user, stream, &jid, error)) {
        jid_free(&jid);
        return NULL;
    }
    unsigned count = 0;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): a session that session_end() frees is in no list */
    LIST_EACH (link, &user->sessions)
        count++;
    if (count >= stream->host->limits.sessions) {
        jid_free(&jid);
        *error = STANZA_ERROR_RESOURCE_CONSTRAINT;
        return NULL;
    }
    struct session *session = MEM_NEW(struct session);
    session->user = user;
    session->stream = stream;
    session->jid = jid;
    session->bare = jid_dup(bare);
    session->room = presence_make_room();
    session->since_ms = loop_now_ms(user->shard->loop);
    list_append(&user->sessions, &session->link);
    atomic_fetch_add(&user->shard->backend->sessions, 1);
    if (!user->temporary) notice_prepare(user->shard, bare->domain);
    return session;
}

void session_leave(struct session *session)
{
    if (session->left) return;
    session->left = true;
    list_remove(&session->link);
    list_append(&session->user->departed, &session->link);
    atomic_fetch_sub(&session->user->shard->backend->sessions, 1);
    offline_run_end(session);
    archive_run_end(session);
    sm_end(&session->sm);
    presence_farewell(session);
}

static void log_event(const struct session *session, const char *event)
{
    struct log_line line;
    log_begin(&line, LOG_LEVEL_INFO, event);
    log_str(&line, "jid", session->jid->full);
    log_uint(&line, "unacknowledged", session->sm->queue.count);
    log_end(&line);
}

void session_stop(struct session **session, enum end_reason reason)
{
    if ((*session)->sm && !(*session)->left && sm_detach((*session)->sm, reason)) {
        log_event(*session, "session_detached");
        *session = NULL;
    } else {
        session_leave(*session);
    }
}

static void session_free(struct session *session)
{
    presence_clear(session);
    free(session->room);
    free(session->active_list);
    jid_free(&session->jid);
    jid_free(&session->bare);
    free(session);
}

void session_departed(struct session *session)
{
    list_remove(&session->link);
    if (session->ended) session_free(session);
}

void session_end(struct session **session)
{
    struct session *s = *session;
    if (!s) return;
    *session = NULL;
    session_leave(s);
    s->ended = true;
    s->stream = NULL;
    if (!list_linked(&s->link)) session_free(s);
}

void session_log_expired(const struct session *session)
{
    log_event(session, "session_expired");
}

static bool is_own(const struct session *session, const struct jid *jid)
{
    return jid_equal(jid, session->jid) || jid_equal(jid, session->bare);
}

/* RFC 6120 section 8.1.2.1: a "from" may be left out, not forged. */
static bool from_is_true(const struct session *session, const struct elem *elem)
{
    const char *text = elem_get(elem, "from");
    if (!text) return true;
    struct jid *from = jid_parse(text, strlen(text), NULL);
    const bool own = from && is_own(session, from);
    jid_free(&from);
    return own;
}

/* Stamp the sender, find out the addressee.  NULL: the text in "to" is no address. */
static bool stamp(struct session *session, struct stanza *stanza)
{
    const char *text = elem_get(stanza->elem, "to");
    struct jid *to = text ? jid_parse(text, strlen(text), NULL) : jid_dup(session->bare);
    if (!to) {
        stanza->from = jid_dup(session->jid);
        return false;
    }
    stanza_address(stanza, jid_dup(session->jid), to);
    return true;
}

static void route(struct session *session, struct stanza *stanza)
{
    struct shard *shard = session->user->shard;
    stanza->undirected = stanza->kind == STANZA_PRESENCE && !elem_get(stanza->elem, "to");
    if (!stamp(session, stanza)) {
        stanza_error_bounce(shard, stanza, STANZA_ERROR_JID_MALFORMED);
    } else if (!stanza_is_right(stanza)) {
        stanza_error_bounce(shard, stanza, STANZA_ERROR_BAD_REQUEST);
    } else {
        /* RFC 6120 section 8.1.5: the stream's language is that of a stanza which names none */
        const char *lang = stream_lang(session->stream);
        if (lang && !elem_get_ns(stanza->elem, NS_XML, "lang")) elem_set_ns(stanza->elem, NS_XML, "lang", lang);
        if (stanza->undirected) elem_set(stanza->elem, "to", NULL);
        session->ahead = !user_send(session->user, stanza);
    }
}

struct session_fault session_receive(struct session *session, struct elem *elem)
{
    struct stanza *stanza = stanza_new(elem);
    if (!stanza) {
        const bool server = strcmp(elem->ns, NS_SERVER) == 0;
        elem_free(&elem);
        return (struct session_fault){server ? "invalid-namespace" : "unsupported-stanza-type", NULL};
    }
    shard_count(session->user->shard, COUNTER_STANZAS_IN);
    if (!from_is_true(session, elem)) {
        stanza_free(&stanza);
        return (struct session_fault){"invalid-from", NULL};
    }
    if (session->sm) sm_inbox_receive(&session->sm->inbox, stanza);
    session->ahead = false;
    route(session, stanza);
    return (struct session_fault){NULL, NULL};
}

void session_send(struct session *session, struct stanza *stanza)
{
    if (session->left) return; /* by what was just sent to it */
    shard_count(session->user->shard, COUNTER_STANZAS_OUT);
    if (session->sm) {
        sm_send(session->sm, stanza);
        return;
    }
    if (stanza->share) stanza->share->arrived = true;
    struct buf text = {0};
    stanza_print(stanza, &text);
    stream_write_buf(session->stream, &text);
    if (stanza->stored_id == 0) return;
    offline_delete(session->user, &stanza->stored_id, 1); /* written: such a client can say no more */
    stanza->stored_id = 0;
}

void session_send_presence(struct session *session, const char *text, size_t len)
{
    if (session->left) return;
    shard_count(session->user->shard, COUNTER_STANZAS_OUT);
    if (session->sm) {
        sm_send_presence(session->sm, text, len);
    } else {
        stream_write_data(session->stream, text, len);
    }
}

bool session_is_behind(const struct session *session)
{
    if (!session->stream) return true;
    if (session->sm && (session->sm->queue.count >= BEHIND_STANZAS || session->sm->queue.bytes >= BEHIND_BYTES))
        return true;
    return stream_pending(session->stream) >= BEHIND_BYTES;
}

void session_continue(struct session *session)
{
    offline_run_continue(session);
    archive_run_continue(session);
}
