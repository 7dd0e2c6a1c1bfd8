#include "backend/blocking.h"

#include "backend/ns.h"
#include "backend/privacy.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"

#include <stdlib.h>
#include <string.h>

const struct blocking *blocking_of(const struct user *user)
{
    return user->parts[USER_PART_BLOCKED];
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool has(const struct blocking *blocking, const char *jid)
{
    return bsearch(&jid, blocking->jids, blocking->count, sizeof(char *), compare) != NULL;
}

bool blocking_has(const struct user *user, const char *jid)
{
    const struct blocking *blocking = blocking_of(user);
    return blocking && has(blocking, jid);
}

void blocking_set(struct user *user, const char *const *jids, size_t count)
{
    struct blocking *blocking = NULL;
    if (count > 0) blocking = mem_alloc(sizeof(*blocking) + count * sizeof(char *));
    for (size_t i = 0; i < count; i++)
        blocking->jids[blocking->count++] = mem_strdup(jids[i]);
    if (blocking) qsort(blocking->jids, count, sizeof(char *), compare);
    if (user->parts[USER_PART_BLOCKED]) blocking_free(user->parts[USER_PART_BLOCKED]);
    user->parts[USER_PART_BLOCKED] = blocking;
}

void *blocking_load(struct user *user, const struct store_record *records, size_t count)
{
    (void)user;
    struct blocking *blocking = mem_alloc(sizeof(*blocking) + count * sizeof(char *));
    for (size_t i = 0; i < count; i++)
        blocking->jids[blocking->count++] = mem_strdup(records[i].key);
    qsort(blocking->jids, count, sizeof(char *), compare);
    return blocking;
}

void blocking_free(void *part)
{
    struct blocking *blocking = part;
    for (size_t i = 0; i < blocking->count; i++)
        free(blocking->jids[i]);
    free(blocking);
}

/* As jid_match would say for one of the list, without walking through it. */
static bool is_blocked(const struct blocking *blocking, const struct jid *other)
{
    if (!blocking) return false;
    return has(blocking, other->bare) || has(blocking, other->domain) || has(blocking, other->full);
}

/* The user's own account, and the server that speaks for it. */
static bool is_own(const struct user *user, const struct jid *other)
{
    const char *domain = strchr(user->bare, '@');
    return strcmp(other->bare, user->bare) == 0 ||
           (!other->local && !other->resource && domain && strcmp(domain + 1, other->domain) == 0);
}

bool blocking_judge_kind(const struct user *user, const struct session *session, const struct jid *other, unsigned kind)
{
    if (is_own(user, other)) return true;
    if (is_blocked(blocking_of(user), other)) return false;
    const struct privacy_list *list = privacy_in_force(user, session);
    return !list || privacy_allows(user, list, other, kind);
}

static unsigned kind_of(const struct stanza *stanza, bool incoming)
{
    const bool notification = stanza->type == STANZA_AVAILABLE || stanza->type == STANZA_UNAVAILABLE;
    if (stanza->kind == STANZA_PRESENCE && notification) return incoming ? PRIVACY_PRESENCE_IN : PRIVACY_PRESENCE_OUT;
    if (incoming && stanza->kind == STANZA_MESSAGE) return PRIVACY_MESSAGE;
    if (incoming && stanza->kind == STANZA_IQ) return PRIVACY_IQ;
    return PRIVACY_REST;
}

bool blocking_judge(const struct user *user, const struct session *session, const struct stanza *stanza, bool incoming)
{
    const struct jid *other = incoming ? stanza->from : stanza->to;
    return blocking_judge_kind(user, session, other, kind_of(stanza, incoming));
}

bool blocking_judge_in(const struct user *user, const struct stanza *stanza)
{
    const char *resource = stanza->to->resource;
    if (resource) return blocking_judge(user, session_find(user, resource), stanza, true);
    if (blocking_judge(user, NULL, stanza, true)) return true;
    LIST_EACH (link, &user->sessions) {
        const struct session *session = LIST_ENTRY(link, struct session, link);
        if (session->active_list && blocking_judge(user, session, stanza, true)) return true;
    }
    return false;
}

bool blocking_judge_out(const struct user *user, const struct stanza *stanza)
{
    const char *resource = stanza->from->resource;
    return blocking_judge(user, resource ? session_find(user, resource) : NULL, stanza, false);
}

void blocking_take_in(struct user *user, struct stanza *stanza)
{
    if (stanza->kind == STANZA_PRESENCE) {
        shard_count(user->shard, COUNTER_STANZAS_DROPPED);
        stanza_free(&stanza);
    } else {
        stanza_error_bounce(user->shard, stanza, STANZA_ERROR_SERVICE_UNAVAILABLE);
    }
}

void blocking_take_out(struct user *user, struct stanza *stanza)
{
    struct session *session = stanza->from->resource ? session_find(user, stanza->from->resource) : NULL;
    struct stanza *answer = session ? stanza_error_new(stanza, STANZA_ERROR_NOT_ACCEPTABLE, NULL) : NULL;
    shard_count(user->shard, answer ? COUNTER_STANZA_ERRORS : COUNTER_STANZAS_DROPPED);
    if (answer) {
        /* section 3.3 gives the type as well */
        struct elem *error = elem_child(answer->elem, NS_CLIENT, "error");
        elem_set(error, "type", "cancel");
        elem_add(error, NS_BLOCKING_ERRORS, "blocked");
        session_send(session, answer); /* not by the router: it comes from somebody who is blocked */
        stanza_free(&answer);
    }
    stanza_free(&stanza);
}
