#include "backend/backend_control.h"

#include "backend/account.h"
#include "backend/dispatch.h"
#include "backend/host.h"
#include "backend/jid.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/stream.h"
#include "backend/stream_tls.h"
#include "backend/user.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void on_changed(const char *code, const char *text, void *arg)
{
    struct control_request *request = arg;
    if (code) {
        control_fail(request, code, "%s", text);
    } else {
        control_reply(request, NULL);
    }
}

static void change(struct control_request *request, struct backend *backend, enum account_action action)
{
    account_change(backend, action, control_arg_str(request, "jid"), control_arg_str(request, "password"), on_changed,
                   request);
}

static void adduser(struct control_request *request, void *arg)
{
    change(request, arg, ACCOUNT_ADD);
}

static void passwd(struct control_request *request, void *arg)
{
    change(request, arg, ACCOUNT_SET_PASSWORD);
}

static void deluser(struct control_request *request, void *arg)
{
    change(request, arg, ACCOUNT_DELETE);
}

static void on_names(enum store_status status, const char *const *jids, size_t count, void *arg)
{
    struct control_request *request = arg;
    if (status != STORE_OK) {
        control_fail(request, "internal", "the store failed; see the log");
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(jids[i]));
    control_reply(request, list);
}

static void users(struct control_request *request, void *arg)
{
    struct backend *backend = arg;
    char domain[JID_PART_MAX_BYTES + 1];
    const char *host = control_arg_str(request, "host");
    if (host && (jid_prepare_domain(host, domain, NULL) != 0 || !hosts_find(backend->hosts, domain))) {
        control_fail(request, "not-found", "that host is not served here");
        return;
    }
    store_account_list(backend->store, backend->shards[0]->mailbox, host ? domain : NULL, on_names, request);
}

static void add_counter(const char *label, const struct counter_row *row, uint64_t value, void *arg)
{
    (void)label;
    json_object_set_new(arg, row->name, json_integer((json_int_t)value));
}

static void add_handled(const char *ns, uint64_t count, void *arg)
{
    json_object_set_new(arg, ns, json_integer((json_int_t)count));
}

static void status(struct control_request *request, void *arg)
{
    struct backend *backend = arg;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    json_t *counters = json_object();
    json_t *handled = json_object();
    counters_each(backend->counter_set, add_counter, counters);
    dispatch_each_count(add_handled, handled);
    control_reply(request, json_pack("{s:s, s:i, s:I, s:I, s:I, s:i, s:o, s:o}", "version", POSTERN_VERSION, "pid",
                                     (int)getpid(), "uptime_s", (json_int_t)(now.tv_sec - backend->started_s),
                                     "connections", (json_int_t)atomic_load(&backend->streams), "sessions",
                                     (json_int_t)atomic_load(&backend->sessions), "shards", (int)backend->shard_count,
                                     "counters", counters, "handled", handled));
}

/* The list goes from shard to shard by their mailboxes, and back to shard 0: one owner at a time. */
struct session_list {
    struct control_request *request;
    struct backend *backend;
    unsigned next_shard;
    json_t *list;
};

static void add_session(json_t *list, const struct session *session)
{
    char peer[ADDR_TEXT_BYTES];
    const struct stream *stream = session->stream;
    const int64_t since_ms = loop_now_ms(stream->shard->loop) - session->since_ms;
    json_t *one = json_pack("{s:s, s:s, s:s, s:b, s:i, s:I}", "jid", session->jid->full, "conn", stream->id, "peer",
                            addr_format(&stream->peer, ADDR_FULL, peer, sizeof(peer)), "available", session->available,
                            "priority", session->priority, "since_s", (json_int_t)(since_ms / 1000));
    json_t *secured = json_pack("{s:s, s:s?, s:s?, s:s?, s:s}", "mechanism", stream->mechanism, "binding",
                                stream->binding, "tls", stream_tls_version(stream), "cipher", stream_tls_cipher(stream),
                                "tls_by", stream->terminated ? "gateway" : "backend");
    json_object_update_new(one, secured);
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

static void sessions(struct control_request *request, void *arg)
{
    struct session_list *list = MEM_NEW(struct session_list);
    list->request = request;
    list->backend = arg;
    list->list = json_array();
    list_shard(list);
}

const struct control_command BACKEND_COMMANDS[] = {
    {"adduser", "Make an account: jid, password.", adduser},
    {"passwd", "Give an account another password, and end its sessions: jid, password.", passwd},
    {"deluser", "Delete an account, and end its sessions: jid.", deluser},
    {"users", "List the accounts, of one host if it is given: host.", users},
    {"status", "Tell version, uptime and counters.", status},
    {"sessions", "List who is logged in, from where.", sessions},
};
const size_t BACKEND_COMMAND_COUNT = ARRAY_LEN(BACKEND_COMMANDS);
