/* xep_mam - XEP-0313: Message Archive Management, of accounts; XEP-0441: its preferences. */
#include "backend/archive.h"
#include "backend/archive_prefs.h"
#include "backend/archive_query.h"
#include "backend/archive_run.h"
#include "backend/dispatch.h"
#include "backend/host.h"
#include "backend/ns.h"
#include "backend/router.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "backend/user.h"
#include "backend/user_records.h"

#include <string.h>

static void send_form(struct user *user, const struct stanza *request)
{
    struct stanza *reply = stanza_reply(request, "result");
    archive_query_form(elem_add(reply->elem, NS_MAM, "query"));
    router_deliver(user->shard, reply);
}

static void query(struct user *user, const struct stanza *request, struct session *session, const struct elem *elem)
{
    struct archive_query query;
    const int wrong = archive_query_read(elem, &query);
    if (wrong >= 0) {
        stanza_error_answer(user->shard, request, (enum stanza_error)wrong, NULL);
    } else {
        archive_run_begin(user, session, request, &query);
    }
}

static void send_prefs(struct user *user, const struct stanza *request)
{
    const struct host *host = archive_host(user);
    if (!host) {
        stanza_error_answer(user->shard, request, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
        return;
    }
    struct stanza *reply = stanza_reply(request, "result");
    archive_prefs_add(archive_prefs_of(user), host->archive_default, reply->elem);
    router_deliver(user->shard, reply);
}

static void on_changed(struct user *user, const struct stanza *request, bool ok, void *arg)
{
    struct archive_prefs *prefs = arg;
    if (ok) {
        archive_prefs_set(user, prefs);
        send_prefs(user, request);
    } else {
        archive_prefs_free(prefs);
    }
}

static void set_prefs(struct user *user, const struct stanza *request, const struct elem *elem)
{
    int wrong = -1;
    struct archive_prefs *prefs = archive_prefs_read(elem, &wrong);
    if (!prefs) {
        stanza_error_answer(user->shard, request, (enum stanza_error)wrong, NULL);
        return;
    }
    struct elem *root = elem_new(arena_new(), NS_CLIENT, "record");
    struct buf text = {0};
    archive_prefs_add(prefs, ARCHIVE_ALWAYS, root);
    elem_print(root->first, NS_CLIENT, &text);
    buf_append(&text, "", 1);
    const struct store_record record = {STORE_ARCHIVE, "", (const char *)buf_data(&text)};
    user_records_change(user, request, &record, 1, on_changed, prefs);
    buf_free(&text);
    elem_free(&root);
}

static void own(struct user *user, const struct stanza *request, struct session *session)
{
    const struct elem *elem = elem_child(request->elem, NS_MAM, NULL);
    const bool get = request->type == STANZA_GET;
    if (get && elem_is(elem, NS_MAM, "query")) {
        send_form(user, request);
    } else if (!get && elem_is(elem, NS_MAM, "query")) {
        query(user, request, session, elem);
    } else if (get && elem_is(elem, NS_MAM, "metadata")) {
        archive_run_begin(user, session, request, NULL);
    } else if (get && elem_is(elem, NS_MAM, "prefs")) {
        send_prefs(user, request);
    } else if (elem_is(elem, NS_MAM, "prefs")) {
        set_prefs(user, request, elem);
    } else {
        stanza_error_answer(user->shard, request, STANZA_ERROR_BAD_REQUEST, NULL);
    }
}

/* Who may not ask hears the same of every address of the host, whether there is such an account or not. */
void xep_mam_iq(struct shard *shard, const struct stanza *request)
{
    const struct host *host = hosts_find(shard_hosts(shard), request->to->domain);
    const bool self = dispatch_scope_of(request) == DISPATCH_SELF;
    struct user *user = self ? user_find(shard, request->to->bare) : NULL;
    struct session *session = user && request->from->resource ? session_find(user, request->from->resource) : NULL;
    if (!host || !host->archive || (user && user->temporary)) {
        stanza_error_answer(shard, request, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
    } else if (!session) {
        stanza_error_answer(shard, request, STANZA_ERROR_FORBIDDEN, NULL);
    } else {
        own(user, request, session);
    }
}
