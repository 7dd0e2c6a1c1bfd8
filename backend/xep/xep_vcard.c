/* xep_vcard - XEP-0054: vcard-temp. */
#include "backend/dispatch.h"
#include "backend/elem_parse.h"
#include "backend/ns.h"
#include "backend/roster.h"
#include "backend/router.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "backend/user.h"
#include "backend/user_records.h"
#include "lib/option.h"

#include <stdlib.h>
#include <string.h>

/* A request whose user may be gone when the store answers: reading holds back nothing. */
struct vcard_job {
    struct shard *shard;
    struct stanza *request;
};

static void on_read(enum store_status status, const struct store_record *records, size_t count, void *arg)
{
    struct vcard_job *job = arg;
    struct shard *shard = job->shard;
    const bool own = dispatch_scope_of(job->request) == DISPATCH_SELF;
    struct elem *vcard = NULL;
    if (status == STORE_OK && count > 0) vcard = elem_parse(&shard->parser, records[0].value, strlen(records[0].value));
    if (vcard) {
        struct stanza *reply = stanza_reply(job->request, "result");
        elem_add_copy(reply->elem, vcard);
        router_deliver(shard, reply);
    } else if (status != STORE_OK && status != STORE_NOT_FOUND) {
        stanza_error_answer(shard, job->request, STANZA_ERROR_INTERNAL_SERVER_ERROR, NULL);
    } else {
        /* the same whether there is such an account or not */
        stanza_error_answer(shard, job->request, own ? STANZA_ERROR_ITEM_NOT_FOUND : STANZA_ERROR_SERVICE_UNAVAILABLE,
                            NULL);
    }
    elem_free(&vcard);
    stanza_free(&job->request);
    free(job);
}

static bool may_read(const struct user *user, const struct stanza *request)
{
    if (dispatch_scope_of(request) == DISPATCH_SELF) return true;
    const struct host *host = hosts_find(shard_hosts(user->shard), request->to->domain);
    if (!host || option_enum(host->section, "vcards") == 0) return true;
    const struct roster_item *contact = roster_find(user, request->from->bare);
    return contact && (contact->flags & ROSTER_FROM);
}

static void get(struct user *user, const struct stanza *request)
{
    struct shard *shard = user->shard;
    if (!may_read(user, request)) {
        stanza_error_answer(shard, request, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
        return;
    }
    struct vcard_job *job = MEM_NEW(struct vcard_job);
    job->shard = shard;
    job->request = stanza_copy(request);
    store_records_get(shard->backend->store, shard->mailbox, user->bare, 1U << STORE_VCARD, NULL, on_read, job);
}

static void on_changed(struct user *user, const struct stanza *request, bool ok, void *arg)
{
    (void)arg;
    if (ok) router_deliver(user->shard, stanza_reply(request, "result"));
}

static void set(struct user *user, const struct stanza *request, const struct elem *vcard)
{
    struct buf text = {0};
    elem_print(vcard, NS_CLIENT, &text);
    const struct host *host = hosts_find(shard_hosts(user->shard), request->to->domain);
    if (!host || buf_len(&text) > (size_t)option_int(host->section, "max-vcard-size")) {
        stanza_error_answer(user->shard, request, STANZA_ERROR_POLICY_VIOLATION, "the vCard is too large");
        buf_free(&text);
        return;
    }
    buf_append(&text, "", 1);
    const struct store_record record = {
        .kind = STORE_VCARD, .key = "", .value = vcard->first ? (const char *)buf_data(&text) : NULL};
    user_records_change(user, request, &record, 1, on_changed, NULL);
    buf_free(&text);
}

void xep_vcard_iq(struct shard *shard, const struct stanza *request)
{
    struct user *user = user_find(shard, request->to->bare);
    const struct elem *vcard = elem_child(request->elem, NS_VCARD, "vCard");
    if (request->type == STANZA_SET && dispatch_scope_of(request) != DISPATCH_SELF) {
        stanza_error_answer(shard, request, STANZA_ERROR_FORBIDDEN, NULL);
    } else if (!user || !vcard) {
        stanza_error_answer(shard, request, STANZA_ERROR_BAD_REQUEST, NULL);
    } else if (request->type == STANZA_GET) {
        get(user, request);
    } else {
        set(user, request, vcard);
    }
}
