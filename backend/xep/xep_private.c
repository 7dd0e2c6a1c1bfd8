/* xep_private - XEP-0049: Private XML Storage.
 *
 * A record for each element, under {namespace}name. */
#include "backend/dispatch.h"
#include "backend/elem_parse.h"
#include "backend/ns.h"
#include "backend/router.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "backend/user.h"
#include "backend/user_records.h"
#include "lib/option.h"

#include <stdlib.h>
#include <string.h>

enum { ELEMENTS_MAX = 128 }; /* of one request */

struct private_job {
    struct user *user;
    struct stanza *request;
};

static const struct elem *query_of(const struct stanza *request)
{
    return elem_child(request->elem, NS_PRIVATE, "query");
}

static char *key_of(const struct elem *elem)
{
    return mem_asprintf("{%s}%s", elem->ns, elem->name);
}

static struct private_job *job_new(struct user *user, const struct stanza *request)
{
    struct private_job *job = MEM_NEW(struct private_job);
    job->user = user;
    job->request = stanza_copy(request);
    user_hold(user);
    return job;
}

static void job_end(struct private_job *job)
{
    stanza_free(&job->request);
    user_resume(job->user);
    free(job);
}

static const char *value_of(const struct store_record *records, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(records[i].key, key) == 0) return records[i].value;
    return NULL;
}

/* An element that is asked for again and again is large only once. */
static bool is_repeated(const struct elem *wanted)
{
    const struct elem *before = elem_child(wanted->parent, NULL, NULL);
    while (before != wanted && (strcmp(before->name, wanted->name) != 0 || strcmp(before->ns, wanted->ns) != 0))
        before = elem_next_element(before);
    return before != wanted;
}

static void add_value(struct elem *query, struct shard *shard, const struct elem *wanted, const char *value)
{
    struct elem *kept = value ? elem_parse(&shard->parser, value, strlen(value)) : NULL;
    if (kept) {
        elem_add_copy(query, kept);
    } else {
        elem_add(query, wanted->ns, wanted->name);
    }
    elem_free(&kept);
}

static void on_read(enum store_status status, const struct store_record *records, size_t count, void *arg)
{
    struct private_job *job = arg;
    struct shard *shard = job->user->shard;
    if (status != STORE_OK && status != STORE_NOT_FOUND) {
        user_records_refuse(job->user, job->request, status);
        job_end(job);
        return;
    }
    struct stanza *reply = stanza_reply(job->request, "result");
    struct elem *query = elem_add(reply->elem, NS_PRIVATE, "query");
    const struct elem *wanted = elem_child(query_of(job->request), NULL, NULL);
    for (; wanted; wanted = elem_next_element(wanted)) {
        if (is_repeated(wanted)) continue;
        char *key = key_of(wanted);
        add_value(query, shard, wanted, value_of(records, count, key));
        free(key);
    }
    router_deliver(shard, reply);
    job_end(job);
}

/* The changes that the request asks for; an element without anything in it needs no record. */
static struct store_record *changes_new(const struct elem *query, size_t *count)
{
    struct store_record *changes = NULL;
    *count = 0;
    for (const struct elem *elem = elem_child(query, NULL, NULL); elem; elem = elem_next_element(elem)) {
        struct buf text = {0};
        elem_print(elem, NS_CLIENT, &text);
        changes = mem_realloc(changes, (*count + 1) * sizeof(*changes));
        changes[(*count)++] = (struct store_record){
            .kind = STORE_PRIVATE,
            .key = key_of(elem),
            .value = elem->first || elem->attrs ? mem_strndup((const char *)buf_data(&text), buf_len(&text)) : NULL};
        buf_free(&text);
    }
    return changes;
}

static void changes_free(struct store_record *changes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free((void *)(uintptr_t)changes[i].key);
        free((void *)(uintptr_t)changes[i].value);
    }
    free(changes);
}

static size_t size_of(const struct store_record *record)
{
    return record->value ? strlen(record->key) + strlen(record->value) : 0;
}

static bool is_changed(const struct store_record *changes, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(changes[i].key, key) == 0) return true;
    return false;
}

static void on_changed(struct user *user, const struct stanza *request, bool ok, void *arg)
{
    (void)arg;
    if (ok) router_deliver(user->shard, stanza_reply(request, "result"));
}

/* What is there already is known now: is there room for the rest? */
static void on_read_for_change(enum store_status status, const struct store_record *records, size_t count, void *arg)
{
    struct private_job *job = arg;
    struct user *user = job->user;
    const struct host *host = hosts_find(shard_hosts(user->shard), job->request->to->domain);
    size_t change_count = 0, bytes = 0;
    struct store_record *changes = changes_new(query_of(job->request), &change_count);
    for (size_t i = 0; i < change_count; i++)
        bytes += size_of(&changes[i]);
    for (size_t i = 0; i < count; i++)
        if (!is_changed(changes, change_count, records[i].key)) bytes += size_of(&records[i]);
    if (status != STORE_OK) {
        user_records_refuse(user, job->request, status);
    } else if (!host || bytes > (size_t)option_int(host->section, "max-private-size")) {
        stanza_error_answer(user->shard, job->request, STANZA_ERROR_POLICY_VIOLATION, "too much private XML");
    } else {
        user_records_change(user, job->request, changes, change_count, on_changed, NULL);
    }
    changes_free(changes, change_count);
    job_end(job);
}

/* Every element has a namespace of its own, and a key that is not too long. */
static enum stanza_error check(const struct elem *query)
{
    const struct elem *elem = query ? elem_child(query, NULL, NULL) : NULL;
    size_t count = 0;
    if (!elem) return STANZA_ERROR_BAD_REQUEST;
    for (; elem; elem = elem_next_element(elem)) {
        if (++count > ELEMENTS_MAX) return STANZA_ERROR_NOT_ACCEPTABLE;
        if (strcmp(elem->ns, NS_PRIVATE) == 0 || *elem->ns == '\0') return STANZA_ERROR_NOT_ACCEPTABLE;
        if (strlen(elem->ns) + strlen(elem->name) + 2 > STORE_KEY_TEXT_MAX_BYTES) return STANZA_ERROR_NOT_ACCEPTABLE;
    }
    return STANZA_ERROR_UNDEFINED_CONDITION; /* nothing is wrong */
}

void xep_private_iq(struct shard *shard, const struct stanza *request)
{
    struct user *user = user_find(shard, request->to->bare);
    const enum stanza_error wrong = check(query_of(request));
    if (!user || dispatch_scope_of(request) != DISPATCH_SELF) {
        stanza_error_answer(shard, request, STANZA_ERROR_FORBIDDEN, NULL);
    } else if (wrong != STANZA_ERROR_UNDEFINED_CONDITION) {
        stanza_error_answer(shard, request, wrong, NULL);
    } else {
        store_records_get(shard->backend->store, shard->mailbox, user->bare, 1U << STORE_PRIVATE, NULL,
                          request->type == STANZA_GET ? on_read : on_read_for_change, job_new(user, request));
    }
}
