#include "backend/control_roster.h"

#include "backend/jid.h"
#include "backend/ns.h"
#include "backend/roster_edit.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "backend/user_call.h"

#include <stdlib.h>
#include <string.h>

/* A command goes from shard 0 to the user's, and back with an answer. */
struct roster_job {
    struct control_request *request;
    struct backend *backend;
    struct elem *item; /* NULL: the whole roster is asked for */
    enum roster_edit edit;
    json_t *result;
    const char *code, *text; /* of the answer, if it failed */
};

static void on_done(void *arg)
{
    struct roster_job *job = arg;
    if (job->code) {
        control_fail(job->request, job->code, "%s", job->text);
    } else {
        control_reply(job->request, job->result);
    }
    if (job->item) elem_free(&job->item);
    free(job);
}

/* Back to shard 0; code NULL: it went well. */
static void finish(struct roster_job *job, const char *code, const char *text)
{
    job->code = code;
    job->text = text;
    mailbox_post(job->backend->shards[0]->mailbox, on_done, job);
}

static void on_edited(struct user *user, enum store_status status, void *arg)
{
    (void)user;
    if (status == STORE_OK) {
        finish(arg, NULL, NULL);
    } else {
        finish(arg, "internal", status == STORE_FULL ? "the disk is full" : "the store failed; see the log");
    }
}

static void refuse(struct roster_job *job, int error)
{
    switch (error) {
    case STANZA_ERROR_ITEM_NOT_FOUND:
        finish(job, "not-found", "that contact is not in the roster");
        return;
    case STANZA_ERROR_RESOURCE_CONSTRAINT:
        finish(job, "usage", "the roster has as many contacts as roster-items allows");
        return;
    case STANZA_ERROR_NOT_ACCEPTABLE:
        finish(job, "usage",
               "the name or a group is empty or longer than roster-name-bytes, or there are more groups than "
               "roster-groups");
        return;
    case STANZA_ERROR_NOT_ALLOWED:
        finish(job, "usage", "an account is no contact of its own");
        return;
    default:
        finish(job, "usage", "expected the contact's address without a resource, and every group once");
    }
}

static json_t *describe(const struct roster_item *item)
{
    const char *text = roster_name(item);
    json_t *groups = json_array();
    json_t *one = json_pack("{s:s, s:s, s:s, s:b, s:b, s:b, s:o}", "jid", roster_jid(item), "name", text,
                            "subscription", roster_item_subscription(item), "asked",
                            (item->flags & ROSTER_PENDING_OUT) != 0, "asks", (item->flags & ROSTER_PENDING_IN) != 0,
                            "approved", (item->flags & ROSTER_APPROVED) != 0, "groups", groups);
    for (unsigned i = 0; i < item->groups; i++) {
        text += strlen(text) + 1;
        json_array_append_new(groups, json_string(text));
    }
    return one;
}

static void describe_all(struct roster_job *job, const struct user *user)
{
    const struct roster *roster = roster_of(user);
    job->result = json_array();
    for (size_t i = 0; roster && i < roster->count; i++)
        json_array_append_new(job->result, describe(roster->items[i]));
    finish(job, NULL, NULL);
}

static void on_user(struct user *user, void *arg)
{
    struct roster_job *job = arg;
    if (!user) {
        finish(job, "internal", "the store failed; see the log");
    } else if (!user->exists) {
        finish(job, "not-found", "there is no such account");
    } else if (!job->item) {
        describe_all(job, user);
    } else {
        const int error = roster_edit(user, job->item, job->edit, on_edited, job);
        if (error >= 0) refuse(job, error);
    }
}

/* Takes item. */
static void start(struct control_request *request, struct backend *backend, struct elem *item, enum roster_edit edit)
{
    const char *text = control_arg_str(request, "jid"), *why = "expected an address such as user@example.com";
    struct jid *jid = text ? jid_parse(text, strlen(text), &why) : NULL;
    if (!jid || !jid->local || jid->resource) {
        control_fail(request, "usage", "%s", why);
        if (item) elem_free(&item);
    } else if (!hosts_find(shard_hosts(backend->shards[0]), jid->domain)) {
        control_fail(request, "not-found", "that host is not served here");
        if (item) elem_free(&item);
    } else {
        struct roster_job *job = MEM_NEW(struct roster_job);
        *job = (struct roster_job){.request = request, .backend = backend, .item = item, .edit = edit};
        user_call(shard_of(backend, jid->bare), jid->bare, on_user, job);
    }
    jid_free(&jid);
}

void control_roster_get(struct control_request *request, void *arg)
{
    start(request, arg, NULL, ROSTER_EDIT_KEEP);
}

static struct elem *item_of(const struct control_request *request)
{
    struct elem *item = elem_new(arena_new(), NS_ROSTER, "item");
    elem_set(item, "jid", control_arg_str(request, "contact"));
    elem_set(item, "name", control_arg_str(request, "name"));
    const json_t *groups = json_object_get(control_args(request), "groups");
    for (size_t i = 0; i < json_array_size(groups); i++) {
        const char *group = json_string_value(json_array_get(groups, i));
        if (!group) group = "";
        elem_add_text(elem_add(item, NULL, "group"), group, strlen(group));
    }
    return item;
}

/* Which edit a word means; -1: none. */
static int edit_of(const char *word)
{
    static const char *const WORDS[] = {
        [ROSTER_EDIT_NONE] = "none", [ROSTER_EDIT_TO] = "to", [ROSTER_EDIT_FROM] = "from", [ROSTER_EDIT_BOTH] = "both"};
    if (!word) return ROSTER_EDIT_KEEP;
    for (int i = ROSTER_EDIT_NONE; i <= ROSTER_EDIT_BOTH; i++)
        if (strcmp(WORDS[i], word) == 0) return i;
    return -1;
}

void control_roster_add(struct control_request *request, void *arg)
{
    const int edit = edit_of(control_arg_str(request, "subscription"));
    if (edit < 0) {
        control_fail(request, "usage", "expected the subscription none, to, from or both");
    } else {
        start(request, arg, item_of(request), (enum roster_edit)edit);
    }
}

void control_roster_remove(struct control_request *request, void *arg)
{
    start(request, arg, item_of(request), ROSTER_EDIT_REMOVE);
}
