/* user_command - the ad-hoc commands that everybody may give to the own host. */
#include "backend/account.h"
#include "backend/adhoc.h"
#include "backend/data_form.h"
#include "backend/kick.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/stream.h"
#include "lib/map.h"
#include "lib/mem.h"

#include <inttypes.h>
#include <string.h>

void user_command_ping(struct adhoc *call)
{
    adhoc_note(call, "info", "The server is there.");
    adhoc_finish(call);
}

void user_command_password_form(struct elem *form)
{
    static const struct adhoc_field FIELDS[] = {
        {"password", "text-private", "New password", true},
        {"password-verify", "text-private", "New password again", true},
    };
    adhoc_fill(form, "Change my password", FIELDS, ARRAY_LEN(FIELDS));
}

static void on_changed(const char *code, const char *text, void *arg)
{
    struct adhoc *call = arg;
    if (!code) {
        adhoc_note(call, "info", "The password is changed. All your other sessions have ended.");
        adhoc_finish(call);
    } else if (strcmp(code, "usage") == 0) {
        adhoc_refuse(call, STANZA_ERROR_BAD_REQUEST, "bad-payload", text);
    } else {
        const bool busy = strcmp(code, "unavailable") == 0 || strcmp(code, "full") == 0;
        adhoc_refuse(call, busy ? STANZA_ERROR_RESOURCE_CONSTRAINT : STANZA_ERROR_INTERNAL_SERVER_ERROR, NULL, text);
    }
}

void user_command_password(struct adhoc *call)
{
    const struct jid *who = call->request->from;
    const char *password = data_form_get(call->form, "password");
    const struct host *host = hosts_find(shard_hosts(call->shard), who->domain);
    if (!host || !host->registration.may_change) {
        adhoc_refuse(call, STANZA_ERROR_NOT_ALLOWED, NULL, "passwords are not changed this way here");
        return;
    }
    if (strcmp(password, data_form_get(call->form, "password-verify")) != 0) {
        adhoc_refuse(call, STANZA_ERROR_BAD_REQUEST, "bad-payload", "the passwords are not the same");
        return;
    }
    const struct account_order order = {.action = ACCOUNT_SET_PASSWORD,
                                        .jid = who->bare,
                                        .password = password,
                                        .keep = who->full,
                                        .source = hash_bytes(who->bare, strlen(who->bare))};
    account_change(call->shard, &order, on_changed, call);
}

static void add_session(struct elem *form, const struct session *session)
{
    char peer[ADDR_TEXT_BYTES], since[32];
    const struct stream *stream = session->stream;
    struct elem *item = elem_add(form, NULL, "item");
    const int64_t since_ms = loop_now_ms(session->user->shard->loop) - session->since_ms;
    snprintf(since, sizeof(since), "%" PRId64, since_ms / 1000);
    data_form_field(item, "resource", NULL, NULL, session->jid->resource);
    data_form_field(item, "address", NULL, NULL,
                    stream ? addr_format(&stream->peer, ADDR_FULL, peer, sizeof(peer)) : "away");
    data_form_field(item, "seconds", NULL, NULL, since);
}

static void list_sessions(void *arg)
{
    struct adhoc *call = arg;
    struct elem *form = adhoc_result(call);
    struct elem *reported = elem_add(form, NULL, "reported");
    data_form_field(reported, "resource", "text-single", "Resource", NULL);
    data_form_field(reported, "address", "text-single", "From", NULL);
    data_form_field(reported, "seconds", "text-single", "For so many seconds", NULL);
    const struct user *user =
        user_find(shard_of(call->shard->backend, call->request->from->bare), call->request->from->bare);
    if (user) {
        LIST_EACH (link, &user->sessions) {
            add_session(form, LIST_ENTRY(link, struct session, link));
        }
    }
    adhoc_finish(call);
}

void user_command_sessions(struct adhoc *call)
{
    mailbox_post(shard_of(call->shard->backend, call->request->from->bare)->mailbox, list_sessions, call);
}

void user_command_end_form(struct elem *form)
{
    static const struct adhoc_field FIELDS[] = {{"resource", "text-single", "Resource", true}};
    adhoc_fill(form, "End one of my sessions", FIELDS, ARRAY_LEN(FIELDS));
}

static void on_ended(size_t count, void *arg)
{
    struct adhoc *call = arg;
    if (count > 0) {
        adhoc_finish(call);
    } else {
        adhoc_refuse(call, STANZA_ERROR_ITEM_NOT_FOUND, NULL, "there is no such session");
    }
}

void user_command_end(struct adhoc *call)
{
    struct jid *jid = jid_with_resource(call->request->from, data_form_get(call->form, "resource"), NULL);
    if (!jid) {
        adhoc_refuse(call, STANZA_ERROR_BAD_REQUEST, "bad-payload", "that is no resource");
        return;
    }
    kick(call->shard->backend, jid, "ended from another session", call->shard->mailbox, on_ended, call);
    jid_free(&jid);
}
