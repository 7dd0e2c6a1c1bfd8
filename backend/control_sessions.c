#include "backend/control_sessions.h"

#include "backend/jid.h"
#include "backend/kick.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/sm.h"
#include "backend/stream.h"
#include "backend/stream_tls.h"

#include <stdlib.h>
#include <string.h>

/* The list goes from shard to shard by their mailboxes, and back to shard 0: one owner at a time. */
struct session_list {
    struct control_request *request;
    struct backend *backend;
    char *only; /* a domain or a bare JID, prepared; NULL: all */
    unsigned next_shard;
    json_t *list;
};

static void add_connection(json_t *one, const struct stream *stream)
{
    char peer[ADDR_TEXT_BYTES];
    json_t *more = json_pack("{s:s, s:s, s:s, s:s?, s:s?, s:s?, s:s}", "conn", stream->id, "peer",
                             addr_format(&stream->peer, ADDR_FULL, peer, sizeof(peer)), "mechanism", stream->mechanism,
                             "binding", stream->binding, "tls", stream_tls_version(stream), "cipher",
                             stream_tls_cipher(stream), "tls_by", stream->terminated ? "gateway" : "backend");
    json_object_update_new(one, more);
}

/* A session that waits to be resumed has no connection; its line has the same columns. */
static void add_nothing(json_t *one)
{
    static const char *const NAMES[] = {"conn", "peer", "mechanism", "binding", "tls", "cipher", "tls_by"};
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++)
        json_object_set_new(one, NAMES[i], json_null());
}

static void add_session(json_t *list, const struct session *session)
{
    const int64_t since_ms = loop_now_ms(session->user->shard->loop) - session->since_ms;
    json_t *one =
        json_pack("{s:s, s:b, s:i, s:I, s:b, s:i}", "jid", session->jid->full, "available", session->available,
                  "priority", session->priority, "since_s", (json_int_t)(since_ms / 1000), "resumable",
                  session->sm && session->sm->id[0], "unacknowledged", session->sm ? (int)session->sm->queue.count : 0);
    if (session->stream)
        add_connection(one, session->stream);
    else
        add_nothing(one);
    json_array_append_new(list, one);
}

static bool add_user(const void *key, size_t key_len, void *value, void *arg)
{
    (void)key;
    (void)key_len;
    const struct session_list *sessions = arg;
    const struct user *user = value;
    const char *at = strchr(user->bare, '@');
    const char *name = sessions->only && !strchr(sessions->only, '@') && at ? at + 1 : user->bare;
    if (sessions->only && strcmp(name, sessions->only) != 0) return true;
    LIST_EACH (link, &user->sessions)
        add_session(sessions->list, LIST_ENTRY(link, struct session, link));
    return true;
}

static void on_listed(void *arg)
{
    struct session_list *sessions = arg;
    control_reply(sessions->request, sessions->list);
    free(sessions->only);
    free(sessions);
}

static void list_shard(void *arg)
{
    struct session_list *sessions = arg;
    struct backend *backend = sessions->backend;
    map_each(backend->shards[sessions->next_shard++]->users, add_user, sessions);
    const bool more = sessions->next_shard < backend->shard_count;
    mailbox_post(backend->shards[more ? sessions->next_shard : 0]->mailbox, more ? list_shard : on_listed, sessions);
}

void control_sessions_list(struct control_request *request, void *arg)
{
    const char *only = control_arg_str(request, "only");
    struct jid *jid = only ? jid_parse(only, strlen(only), NULL) : NULL;
    if (only && (!jid || jid->resource)) {
        jid_free(&jid);
        control_fail(request, "usage", "expected a host or an address such as user@example.com");
        return;
    }
    const struct backend *backend = arg;
    if (jid && !hosts_find(shard_hosts(backend->shards[0]), jid->domain)) {
        jid_free(&jid);
        control_fail(request, "not-found", "that host is not served here");
        return;
    }
    struct session_list *list = MEM_NEW(struct session_list);
    list->request = request;
    list->backend = arg;
    list->only = jid ? mem_strdup(jid->bare) : NULL;
    list->list = json_array();
    jid_free(&jid);
    list_shard(list);
}

static void on_kicked(size_t count, void *arg)
{
    if (count > 0)
        control_reply(arg, json_pack("{s:I}", "sessions", (json_int_t)count));
    else
        control_fail(arg, "not-found", "nobody is logged in with that address");
}

void control_sessions_kick(struct control_request *request, void *arg)
{
    struct backend *backend = arg;
    const char *text = control_arg_str(request, "jid"), *why = NULL;
    struct jid *jid = text ? jid_parse(text, strlen(text), &why) : NULL;
    if (jid && jid->local)
        kick(backend, jid, "an administrator ended the session", backend->shards[0]->mailbox, on_kicked, request);
    else
        control_fail(request, "usage", "expected an address such as user@example.com or user@example.com/phone%s%s",
                     why ? ": " : "", why ? why : "");
    jid_free(&jid);
}
