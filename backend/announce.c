#include "backend/announce.h"

#include "backend/jid.h"
#include "backend/ns.h"
#include "backend/router.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/stanza.h"
#include "backend/user.h"
#include "backend/user_call.h"

#include <stdlib.h>
#include <string.h>

/* It goes from shard to shard by their mailboxes, and back to shard 0: one owner at a time. */
struct announcement {
    struct backend *backend;
    char *domain, *subject, *text; /* domain: NULL: all */
    unsigned next_shard;
    size_t count;
    announce_fn *fn;
    void *arg;
};

static struct stanza *make(const struct jid *to, const char *type, const char *subject, const char *text)
{
    struct elem *message = elem_new(arena_new(), NS_CLIENT, "message");
    elem_set(message, "type", type);
    if (subject) elem_add_text(elem_add(message, NULL, "subject"), subject, strlen(subject));
    elem_add_text(elem_add(message, NULL, "body"), text, strlen(text));
    struct stanza *stanza = stanza_new(message);
    CHECK(stanza != NULL);
    stanza_address(stanza, jid_new(NULL, to->domain, NULL, NULL), jid_dup(to));
    return stanza;
}

struct letter {
    struct backend *backend;
    struct jid *jid;
    char *subject, *text;
    announced_fn *fn;
    void *arg;
    enum announced result;
};

static void on_sent(void *arg)
{
    struct letter *letter = arg;
    letter->fn(letter->result, letter->arg);
    jid_free(&letter->jid);
    free(letter->subject);
    free(letter->text);
    free(letter);
}

static void on_user(struct user *user, void *arg)
{
    struct letter *letter = arg;
    const struct jid *jid = letter->jid;
    if (!user)
        letter->result = ANNOUNCED_FAILED;
    else if (!user->exists)
        letter->result = ANNOUNCED_NO_ACCOUNT;
    else if (jid->resource && !session_find(user, jid->resource))
        letter->result = ANNOUNCED_NOT_THERE;
    else
        (void)router_deliver(user->shard, make(jid, "normal", letter->subject, letter->text));
    mailbox_post(letter->backend->shards[0]->mailbox, on_sent, letter);
}

void announce_to(struct backend *backend, const struct jid *jid, const char *subject, const char *text,
                 announced_fn *fn, void *arg)
{
    struct letter *letter = MEM_NEW(struct letter);
    *letter = (struct letter){backend, jid_dup(jid), mem_strdup(subject), mem_strdup(text), fn, arg, ANNOUNCED};
    user_call(shard_of(backend, jid->bare), jid->bare, on_user, letter);
}

struct addressees {
    const char *domain;
    char **bares;
    size_t count;
};

static bool gather(const void *key, size_t key_len, void *value, void *arg)
{
    (void)key;
    (void)key_len;
    struct addressees *all = arg;
    const struct user *user = value;
    const char *at = strchr(user->bare, '@');
    if (list_empty(&user->sessions) || !at || (all->domain && strcmp(at + 1, all->domain) != 0)) return true;
    all->bares = mem_realloc(all->bares, (all->count + 1) * sizeof(char *));
    all->bares[all->count++] = mem_strdup(user->bare);
    return true;
}

/* Delivery may change the map of users, so they are gathered first. */
static void tell(struct shard *shard, const struct announcement *a, struct addressees *all)
{
    map_each(shard->users, gather, all);
    for (size_t i = 0; i < all->count; i++) {
        struct jid *to = jid_parse(all->bares[i], strlen(all->bares[i]), NULL);
        if (to) (void)router_deliver(shard, make(to, "headline", a->subject, a->text));
        jid_free(&to);
        free(all->bares[i]);
    }
    free(all->bares);
}

static void on_told(void *arg)
{
    struct announcement *a = arg;
    a->fn(a->count, a->arg);
    free(a->domain);
    free(a->subject);
    free(a->text);
    free(a);
}

static void on_shard(void *arg)
{
    struct announcement *a = arg;
    struct backend *backend = a->backend;
    struct addressees all = {.domain = a->domain};
    tell(backend->shards[a->next_shard++], a, &all);
    a->count += all.count;
    const bool more = a->next_shard < backend->shard_count;
    mailbox_post(backend->shards[more ? a->next_shard : 0]->mailbox, more ? on_shard : on_told, a);
}

void announce_to_all(struct backend *backend, const char *domain, const char *subject, const char *text,
                     announce_fn *fn, void *arg)
{
    struct announcement *a = MEM_NEW(struct announcement);
    a->backend = backend;
    a->domain = mem_strdup(domain);
    a->subject = mem_strdup(subject);
    a->text = mem_strdup(text);
    a->fn = fn;
    a->arg = arg;
    on_shard(a);
}
