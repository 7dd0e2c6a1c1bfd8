/* xep_last - XEP-0012: Last Activity; of a host, its uptime. */
#include "backend/dispatch.h"
#include "backend/last.h"
#include "backend/ns.h"
#include "backend/roster.h"
#include "backend/router.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "backend/user.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NUMBER_BYTES = 24 };

struct last_job {
    struct shard *shard;
    struct stanza *request;
};

static void answer(struct shard *shard, const struct stanza *request, int64_t seconds, const char *status)
{
    char text[NUMBER_BYTES];
    snprintf(text, sizeof(text), "%" PRId64, seconds < 0 ? 0 : seconds);
    struct stanza *reply = stanza_reply(request, "result");
    struct elem *query = elem_add(reply->elem, NS_LAST, "query");
    elem_set(query, "seconds", text);
    if (status) elem_add_text(query, status, strlen(status));
    router_deliver(shard, reply);
}

static void on_read(enum store_status status, const struct store_record *records, size_t count, void *arg)
{
    struct last_job *job = arg;
    int64_t at_s = 0;
    char *text = NULL;
    if (status == STORE_OK && last_read(job->shard, records, count, &at_s, &text)) {
        answer(job->shard, job->request, (int64_t)time(NULL) - at_s, text);
    } else if (status == STORE_OK) {
        stanza_error_answer(job->shard, job->request, STANZA_ERROR_ITEM_NOT_FOUND, "never seen yet");
    } else {
        stanza_error_answer(job->shard, job->request, STANZA_ERROR_INTERNAL_SERVER_ERROR, NULL);
    }
    free(text);
    stanza_free(&job->request);
    free(job);
}

static bool may_ask(const struct user *user, const struct stanza *request)
{
    if (dispatch_scope_of(request) == DISPATCH_SELF) return true;
    const struct roster_item *contact = roster_find(user, request->from->bare);
    return contact && (contact->flags & ROSTER_FROM);
}

static bool is_available(const struct user *user)
{
    LIST_EACH (link, &user->sessions) {
        if (LIST_ENTRY(link, struct session, link)->available) return true;
    }
    return false;
}

/* Who may not know hears the same whether there is such an account or not. */
static void answer_for(struct user *user, const struct stanza *request)
{
    struct shard *shard = user->shard;
    if (!may_ask(user, request)) {
        stanza_error_answer(shard, request, STANZA_ERROR_FORBIDDEN, NULL);
    } else if (is_available(user)) {
        answer(shard, request, 0, NULL);
    } else {
        struct last_job *job = MEM_NEW(struct last_job);
        job->shard = shard;
        job->request = stanza_copy(request);
        store_records_get(shard->backend->store, shard->mailbox, user->bare, 1U << STORE_LAST, NULL, on_read, job);
    }
}

void xep_last_iq(struct shard *shard, const struct stanza *request)
{
    struct user *user = request->to->local ? user_find(shard, request->to->bare) : NULL;
    if (!elem_child(request->elem, NS_LAST, "query")) {
        stanza_error_answer(shard, request, STANZA_ERROR_BAD_REQUEST, NULL);
    } else if (user) {
        answer_for(user, request);
    } else {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        answer(shard, request, now.tv_sec - shard->backend->started_s, NULL);
    }
}
