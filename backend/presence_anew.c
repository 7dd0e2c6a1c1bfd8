#include "backend/presence_anew.h"

#include "backend/host.h"
#include "backend/presence.h"
#include "backend/roster.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/user.h"

#include <stdlib.h>
#include <string.h>

enum { USERS_AT_ONCE = 16 }; /* then others have their turn */

/* One for each shard. */
struct anew {
    struct shard *shard;
    char *local, *remote;
    char **users; /* bare JIDs */
    size_t count, cap, next;
};

static void anew_free(struct anew *anew)
{
    for (size_t i = anew->next; i < anew->count; i++)
        free(anew->users[i]);
    free(anew->users);
    free(anew->local);
    free(anew->remote);
    free(anew);
}

static bool is_at(const char *bare, const char *domain)
{
    const char *at = strchr(bare, '@');
    return strcmp(at ? at + 1 : bare, domain) == 0;
}

static bool is_available(const struct user *user)
{
    LIST_EACH (link, &user->sessions)
        if (LIST_ENTRY(link, struct session, link)->available) return true;
    return false;
}

static bool collect(const void *key, size_t key_len, void *value, void *arg)
{
    struct anew *anew = arg;
    const struct user *user = value;
    (void)key, (void)key_len;
    if (!is_at(user->bare, anew->local) || !is_available(user)) return true;
    if (anew->count == anew->cap) {
        anew->cap = anew->cap ? anew->cap * 2 : 16;
        anew->users = mem_realloc(anew->users, anew->cap * sizeof(char *));
    }
    anew->users[anew->count++] = mem_strdup(user->bare);
    return true;
}

static void tell_and_ask(const struct user *user, const char *remote)
{
    const struct roster *roster = is_available(user) ? roster_of(user) : NULL;
    for (size_t i = 0; roster && i < roster->count; i++) {
        const char *contact = roster_jid(roster->items[i]);
        struct jid *to = is_at(contact, remote) ? jid_parse(contact, strlen(contact), NULL) : NULL;
        if (to && (roster->items[i]->flags & ROSTER_FROM)) presence_tell(user, to);
        if (to && (roster->items[i]->flags & ROSTER_TO)) presence_ask(user, to);
        jid_free(&to);
    }
}

static void on_turn(void *arg)
{
    struct anew *anew = arg;
    struct shard *shard = anew->shard;
    for (unsigned i = 0; i < USERS_AT_ONCE && anew->next < anew->count; i++) {
        char *bare = anew->users[anew->next++];
        const struct user *user = user_find(shard, bare);
        if (user) tell_and_ask(user, anew->remote);
        free(bare);
    }
    if (anew->next < anew->count && !shard->stopping) {
        mailbox_post(shard->mailbox, on_turn, anew);
    } else {
        anew_free(anew);
    }
}

static void on_shard(void *arg)
{
    struct anew *anew = arg;
    map_each(anew->shard->users, collect, anew);
    on_turn(anew);
}

void presence_anew(struct backend *backend, const char *local, const char *remote)
{
    for (unsigned i = 0; i < backend->shard_count; i++) {
        struct anew *anew = MEM_NEW(struct anew);
        anew->shard = backend->shards[i];
        anew->local = mem_strdup(local);
        anew->remote = mem_strdup(remote);
        mailbox_post(anew->shard->mailbox, on_shard, anew);
    }
}
