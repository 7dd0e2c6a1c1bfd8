/* xep_blocking - XEP-0191: Blocking Command. */
#include "backend/blocking.h"
#include "backend/dispatch.h"
#include "backend/ns.h"
#include "backend/router.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "backend/stream.h"
#include "backend/user_records.h"
#include "backend/visibility.h"
#include "lib/option.h"

#include <stdlib.h>
#include <string.h>

/* The list as it is to be, and the changes to the store. */
struct blocking_change {
    size_t count, change_count;
    char **jids;
    struct store_record *changes;
};

/* Section 3.3: to all resources that have asked for the list. */
static void push(struct user *user, const struct stanza *request)
{
    char id[2 * STREAM_ID_BYTES + 1];
    struct stanza *stanza = stanza_copy(request);
    stream_random_id(id);
    elem_set(stanza->elem, "id", id);
    elem_set(stanza->elem, "from", user->bare);
    LIST_EACH (link, &user->sessions) {
        struct session *session = LIST_ENTRY(link, struct session, link);
        if (!session->wants_blocks) continue;
        elem_set(stanza->elem, "to", session->jid->full);
        session_send(session, stanza);
    }
    stanza_free(&stanza);
}

static void change_free(struct blocking_change *change)
{
    for (size_t i = 0; i < change->count; i++)
        free(change->jids[i]);
    for (size_t i = 0; i < change->change_count; i++) {
        free((void *)(uintptr_t)change->changes[i].key);
        free((void *)(uintptr_t)change->changes[i].value);
    }
    free(change->jids);
    free(change->changes);
    free(change);
}

static void on_changed(struct user *user, const struct stanza *request, bool ok, void *arg)
{
    struct blocking_change *change = arg;
    if (ok) {
        struct visibility *before = visibility_note(user);
        blocking_set(user, (const char *const *)change->jids, change->count);
        router_deliver(user->shard, stanza_reply(request, "result"));
        push(user, request);
        visibility_settle(user, &before);
    }
    change_free(change);
}

static struct blocking_change *change_new(const struct user *user, size_t more)
{
    const struct blocking *blocking = blocking_of(user);
    const size_t room = (blocking ? blocking->count : 0) + more;
    struct blocking_change *change = MEM_NEW(struct blocking_change);
    change->jids = mem_alloc((room + 1) * sizeof(char *));
    change->changes = mem_alloc((room + 1) * sizeof(struct store_record));
    for (size_t i = 0; blocking && i < blocking->count; i++)
        change->jids[change->count++] = mem_strdup(blocking->jids[i]);
    return change;
}

static size_t place_of(const struct blocking_change *change, const char *jid)
{
    size_t i = 0;
    while (i < change->count && strcmp(change->jids[i], jid) != 0)
        i++;
    return i;
}

static void record(struct blocking_change *change, const char *jid, bool blocked)
{
    struct buf value = {0};
    if (blocked) {
        buf_append_str(&value, "<item xmlns='" NS_BLOCKING "' jid='");
        elem_escape(jid, strlen(jid), &value);
        buf_append_str(&value, "'/>");
    }
    change->changes[change->change_count++] =
        (struct store_record){.kind = STORE_BLOCKED,
                              .key = mem_strdup(jid),
                              .value = blocked ? mem_strndup((const char *)buf_data(&value), buf_len(&value)) : NULL};
    buf_free(&value);
}

static void add(struct blocking_change *change, const char *jid)
{
    if (place_of(change, jid) < change->count) return;
    change->jids[change->count++] = mem_strdup(jid);
    record(change, jid, true);
}

static void take_out(struct blocking_change *change, const char *jid)
{
    const size_t place = place_of(change, jid);
    if (place == change->count) return;
    record(change, jid, false);
    free(change->jids[place]);
    change->jids[place] = change->jids[--change->count];
}

/* The items of the request into the change; what is wrong with one of them, or -1. */
static int read_items(const struct elem *command, struct blocking_change *change, bool block)
{
    for (const struct elem *item = elem_child(command, NULL, NULL); item; item = elem_next_element(item)) {
        const char *text = elem_get(item, "jid");
        if (!elem_is(item, NS_BLOCKING, "item") || !text) return STANZA_ERROR_BAD_REQUEST;
        struct jid *jid = jid_parse(text, strlen(text), NULL);
        if (!jid) return STANZA_ERROR_JID_MALFORMED;
        if (block) {
            add(change, jid->full);
        } else {
            take_out(change, jid->full);
        }
        jid_free(&jid);
    }
    return -1;
}

static size_t count_items(const struct elem *command)
{
    size_t count = 0;
    for (const struct elem *item = elem_child(command, NULL, NULL); item; item = elem_next_element(item))
        count++;
    return count;
}

static void set(struct user *user, const struct stanza *request, const struct elem *command, bool block)
{
    const size_t items = count_items(command);
    const struct host *host = hosts_find(shard_hosts(user->shard), request->to->domain);
    if (!host || (block && items == 0)) {
        stanza_error_answer(user->shard, request, STANZA_ERROR_BAD_REQUEST, NULL);
        return;
    }
    const size_t max = (size_t)option_int(host->section, "max-blocked");
    if (block && items > max) { /* before each is compared with all */
        stanza_error_answer(user->shard, request, STANZA_ERROR_POLICY_VIOLATION, "the block list is full");
        return;
    }
    struct blocking_change *change = change_new(user, items);
    const int wrong = read_items(command, change, block);
    while (items == 0 && change->count > 0)
        take_out(change, change->jids[change->count - 1]);
    if (wrong >= 0) {
        stanza_error_answer(user->shard, request, (enum stanza_error)wrong, NULL);
        change_free(change);
    } else if (block && change->count > max) {
        stanza_error_answer(user->shard, request, STANZA_ERROR_POLICY_VIOLATION, "the block list is full");
        change_free(change);
    } else if (change->change_count == 0) {
        on_changed(user, request, true, change);
    } else {
        user_records_change(user, request, change->changes, change->change_count, on_changed, change);
    }
}

static void get(struct user *user, const struct stanza *request)
{
    const struct blocking *blocking = blocking_of(user);
    struct session *session = request->from->resource ? session_find(user, request->from->resource) : NULL;
    if (session) session->wants_blocks = true;
    struct stanza *reply = stanza_reply(request, "result");
    struct elem *list = elem_add(reply->elem, NS_BLOCKING, "blocklist");
    for (size_t i = 0; blocking && i < blocking->count; i++)
        elem_set(elem_add(list, NULL, "item"), "jid", blocking->jids[i]);
    router_deliver(user->shard, reply);
}

void xep_blocking_iq(struct shard *shard, const struct stanza *request)
{
    struct user *user = user_find(shard, request->to->bare);
    const struct elem *command = elem_child(request->elem, NS_BLOCKING, NULL);
    const bool asked = request->type == STANZA_GET;
    if (user && asked && elem_is(command, NS_BLOCKING, "blocklist")) {
        get(user, request);
    } else if (user && !asked && elem_is(command, NS_BLOCKING, "block")) {
        set(user, request, command, true);
    } else if (user && !asked && elem_is(command, NS_BLOCKING, "unblock")) {
        set(user, request, command, false);
    } else {
        stanza_error_answer(shard, request, STANZA_ERROR_BAD_REQUEST, NULL);
    }
}
