#include "backend/control_sessions.h"

#include "backend/session.h"
#include "backend/shard.h"
#include "backend/sm.h"
#include "backend/stream.h"
#include "backend/stream_tls.h"

#include <stdlib.h>

/* The list goes from shard to shard by their mailboxes, and back to shard 0: one owner at a time. */
struct session_list {
    struct control_request *request;
    struct backend *backend;
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

/* A session that waits to be resumed has no connection. */
static void add_session(json_t *list, const struct session *session)
{
    const int64_t since_ms = loop_now_ms(session->user->shard->loop) - session->since_ms;
    json_t *one =
        json_pack("{s:s, s:b, s:i, s:I, s:b, s:i}", "jid", session->jid->full, "available", session->available,
                  "priority", session->priority, "since_s", (json_int_t)(since_ms / 1000), "resumable",
                  session->sm && session->sm->id[0], "unacknowledged", session->sm ? (int)session->sm->queue.count : 0);
    if (session->stream) add_connection(one, session->stream);
    json_array_append_new(list, one);
}

static bool add_user(const void *key, size_t key_len, void *value, void *arg)
{
    (void)key;
    (void)key_len;
    const struct user *user = value;
    LIST_EACH (link, &user->sessions)
        add_session(arg, LIST_ENTRY(link, struct session, link));
    return true;
}

static void on_listed(void *arg)
{
    struct session_list *sessions = arg;
    control_reply(sessions->request, sessions->list);
    free(sessions);
}

static void list_shard(void *arg)
{
    struct session_list *sessions = arg;
    struct backend *backend = sessions->backend;
    map_each(backend->shards[sessions->next_shard++]->users, add_user, sessions->list);
    const bool more = sessions->next_shard < backend->shard_count;
    mailbox_post(backend->shards[more ? sessions->next_shard : 0]->mailbox, more ? list_shard : on_listed, sessions);
}

void control_sessions_list(struct control_request *request, void *arg)
{
    struct session_list *list = MEM_NEW(struct session_list);
    list->request = request;
    list->backend = arg;
    list->list = json_array();
    list_shard(list);
}
