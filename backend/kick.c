#include "backend/kick.h"

#include "backend/jid.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/stream.h"

#include <stdlib.h>
#include <string.h>

struct kick {
    struct shard *owner;
    struct jid *jid;
    const char *text;
    struct mailbox *reply_to;
    kick_fn *fn;
    void *arg;
    size_t count;
};

static void on_kicked(void *arg)
{
    struct kick *k = arg;
    k->fn(k->count, k->arg);
    jid_free(&k->jid);
    free(k);
}

static void end_sessions(struct kick *k, struct user *user)
{
    user_hold(user); /* whoever hears that one leaves may have to leave, too, and is not to while we walk */
    LIST_EACH (link, &user->sessions) {
        struct session *session = LIST_ENTRY(link, struct session, link);
        if (k->jid->resource && strcmp(session->jid->resource, k->jid->resource) != 0) continue;
        k->count++;
        if (session->stream)
            stream_fail(session->stream, END_KICKED, "policy-violation", k->text);
        else
            session_end(&session);
    }
    user_resume(user);
}

static void on_kick(void *arg)
{
    struct kick *k = arg;
    struct user *user = user_find(k->owner, k->jid->bare);
    if (user) end_sessions(k, user);
    mailbox_post(k->reply_to, on_kicked, k);
}

void kick(struct backend *backend, const struct jid *jid, const char *text, struct mailbox *reply_to, kick_fn *fn,
          void *arg)
{
    struct kick *k = MEM_NEW(struct kick);
    k->owner = shard_of(backend, jid->bare);
    k->jid = jid_dup(jid);
    k->text = text;
    k->reply_to = reply_to;
    k->fn = fn;
    k->arg = arg;
    mailbox_post(k->owner->mailbox, on_kick, k);
}
