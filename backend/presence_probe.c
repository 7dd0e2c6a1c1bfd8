#include "backend/presence_probe.h"

#include "backend/blocking.h"
#include "backend/delay.h"
#include "backend/directed.h"
#include "backend/last.h"
#include "backend/presence.h"
#include "backend/privacy.h"
#include "backend/roster.h"
#include "backend/router.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/user.h"

#include <string.h>

static bool is_asked_for(const struct session *session, const struct stanza *probe)
{
    return !probe->to->resource || strcmp(probe->to->resource, session->jid->resource) == 0;
}

/* Whoever asks for one resource, or has been sent directed presence, may know that it is still there, and no more
 * (sections 4.3.2 and 4.6.6). */
static struct stanza *still_there(const struct session *session, const struct stanza *probe)
{
    struct stanza *answer = stanza_reply(probe, NULL);
    stanza_address(answer, jid_dup(session->jid), jid_dup(probe->from));
    return answer;
}

/* Who may know hears since when nobody has been there; all others get one answer, from the bare address, whether there
 * is such a resource, or such an account, or not. */
static struct stanza *nobody(const struct user *user, const struct stanza *probe, bool subscribed)
{
    struct stanza *answer = stanza_reply(probe, subscribed ? "unavailable" : "unsubscribed");
    const int64_t seen_s = last_seen_s(user);
    if (!subscribed) {
        struct jid *bare = jid_with_resource(probe->to, NULL, NULL);
        CHECK(bare);
        stanza_address(answer, bare, jid_dup(probe->from));
    } else if (!probe->to->resource && seen_s > 0) {
        delay_add(answer->elem, probe->to->domain, seen_s * 1000);
    }
    return answer;
}

static unsigned answer_for_sessions(struct user *user, const struct stanza *probe, bool subscribed)
{
    unsigned answers = 0;
    LIST_EACH (link, &user->sessions) {
        const struct session *session = LIST_ENTRY(link, struct session, link);
        if (!is_asked_for(session, probe)) continue;
        struct stanza *answer = NULL;
        if (!blocking_allows_kind(user, session, probe->from, PRIVACY_PRESENCE_OUT)) continue;
        const bool open_to = subscribed && session->available;
        if (open_to && !probe->to->resource) {
            answer = presence_recall(session, probe->from);
        } else if (open_to || directed_has_bare(session->directed, probe->from->bare)) {
            answer = still_there(session, probe);
        }
        if (!answer) continue;
        router_deliver(user->shard, answer);
        answers++;
    }
    return answers;
}

void presence_probe_take(struct user *user, struct stanza *probe)
{
    const struct roster_item *item = roster_find(user, probe->from->bare);
    const bool subscribed = jid_bare_equal(probe->from, probe->to) || (item && (item->flags & ROSTER_FROM));
    const unsigned answers = answer_for_sessions(user, probe, subscribed);
    if (answers == 0 && !(subscribed && probe->quiet)) router_deliver(user->shard, nobody(user, probe, subscribed));
    stanza_free(&probe);
}
