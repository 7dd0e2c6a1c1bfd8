/* xep_register - XEP-0077: In-Band Registration, for users: their passwords, and the end of their accounts.
 *
 * New accounts are registration.c's. */
#include "backend/account.h"
#include "backend/dispatch.h"
#include "backend/host.h"
#include "backend/ns.h"
#include "backend/router.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "backend/user.h"
#include "lib/log.h"
#include "lib/map.h"

#include <stdlib.h>
#include <string.h>

/* What is left of a request while it is carried out: no password. */
struct register_job {
    struct shard *shard;
    struct stanza *request;
    const char *event; /* for the log */
};

static const struct elem *query_of(const struct stanza *request)
{
    return elem_child(request->elem, NS_REGISTER, "query");
}

static struct register_job *job_new(struct shard *shard, const struct stanza *request, const char *event)
{
    struct register_job *job = MEM_NEW(struct register_job);
    struct elem *elem = elem_new(arena_new(), NS_CLIENT, "iq");
    elem_set(elem, "id", elem_get(request->elem, "id"));
    elem_set(elem, "type", "set");
    job->shard = shard;
    job->event = event;
    job->request = stanza_new(elem);
    CHECK(job->request);
    stanza_address(job->request, jid_dup(request->from), jid_dup(request->to));
    return job;
}

static void log_done(const struct register_job *job)
{
    struct log_line line;
    log_begin(&line, LOG_LEVEL_INFO, job->event);
    log_str(&line, "account", job->request->from->bare);
    log_str(&line, "by", job->request->from->full);
    log_end(&line);
}

static enum stanza_error error_of(const char *code)
{
    if (strcmp(code, "usage") == 0) return STANZA_ERROR_NOT_ACCEPTABLE;
    if (strcmp(code, "not-found") == 0) return STANZA_ERROR_ITEM_NOT_FOUND;
    if (strcmp(code, "internal") == 0) return STANZA_ERROR_INTERNAL_SERVER_ERROR;
    return STANZA_ERROR_RESOURCE_CONSTRAINT;
}

static void on_changed(const char *code, const char *text, void *arg)
{
    struct register_job *job = arg;
    if (code) {
        stanza_error_answer(job->shard, job->request, error_of(code), text);
    } else {
        log_done(job);
        router_deliver(job->shard, stanza_reply(job->request, "result"));
    }
    stanza_free(&job->request);
    free(job);
}

static void tell(struct shard *shard, const struct stanza *request)
{
    struct stanza *answer = stanza_reply(request, "result");
    struct elem *query = elem_add(answer->elem, NS_REGISTER, "query");
    elem_add(query, NULL, "registered");
    elem_add_text(elem_add(query, NULL, "username"), request->from->local, strlen(request->from->local));
    elem_add(query, NULL, "password");
    router_deliver(shard, answer);
}

static void remove_account(struct shard *shard, const struct stanza *request, const struct host *host)
{
    const struct elem *only = elem_child(query_of(request), NULL, NULL);
    if (elem_next_element(only)) {
        stanza_error_answer(shard, request, STANZA_ERROR_BAD_REQUEST, NULL);
    } else if (!host->registration.may_remove) {
        stanza_error_answer(shard, request, STANZA_ERROR_NOT_ALLOWED, NULL);
    } else {
        const struct account_order order = {.action = ACCOUNT_DELETE, .jid = request->from->bare};
        account_change(shard, &order, on_changed, job_new(shard, request, "account_removed"));
    }
}

static bool is_own_name(const struct stanza *request, const struct elem *username)
{
    char local[JID_PART_MAX_BYTES + 1];
    return jid_prepare_local(elem_text(username, NULL), local, NULL) == 0 && strcmp(local, request->from->local) == 0;
}

static void change_password(struct shard *shard, const struct stanza *request, const struct host *host)
{
    const struct elem *username = elem_child(query_of(request), NS_REGISTER, "username");
    const struct elem *password = elem_child(query_of(request), NS_REGISTER, "password");
    if (!username || !password || !*elem_text(password, NULL)) {
        stanza_error_answer(shard, request, STANZA_ERROR_BAD_REQUEST, "a username and a password are needed");
    } else if (!host->registration.may_change || !is_own_name(request, username)) {
        stanza_error_answer(shard, request, STANZA_ERROR_NOT_ALLOWED, NULL);
    } else {
        const struct account_order order = {.action = ACCOUNT_SET_PASSWORD,
                                            .jid = request->from->bare,
                                            .password = elem_text(password, NULL),
                                            .keep = request->from->full,
                                            .source = hash_bytes(request->from->bare, strlen(request->from->bare))};
        account_change(shard, &order, on_changed, job_new(shard, request, "password_changed"));
    }
}

void xep_register_iq(struct shard *shard, const struct stanza *request)
{
    const struct jid *from = request->from;
    const struct host *host = hosts_find(shard_hosts(shard), request->to->domain);
    arena_keep_secret(request->elem->arena);
    if (!query_of(request)) {
        stanza_error_answer(shard, request, STANZA_ERROR_BAD_REQUEST, NULL);
        return;
    }
    if (!host || !from->local || strcmp(from->domain, host->domain) != 0) {
        stanza_error_answer(shard, request, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
        return;
    }
    const struct user *user = user_find(shard, from->bare);
    if (user && user->temporary) {
        stanza_error_answer(shard, request, STANZA_ERROR_NOT_ALLOWED, NULL);
    } else if (request->type == STANZA_GET) {
        tell(shard, request);
    } else if (elem_child(query_of(request), NS_REGISTER, "remove")) {
        remove_account(shard, request, host);
    } else {
        change_password(shard, request, host);
    }
}
