#include "backend/remote_refusal.h"

#include "backend/remote.h"
#include "backend/remote_route.h"
#include "backend/remote_waiting.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"

/* RFC 6120 section 10.4.3 wants an error; nobody waits for one to a probe or to a farewell. */
static void refuse_presence(struct remote_route *route, struct stanza *stanza, const struct s2s_failure_row *row)
{
    if (row->keeps) route->presence_owed = true;
    if (stanza->type == STANZA_UNAVAILABLE && row->keeps) {
        remote_waiting_farewell(route, stanza);
        return;
    }
    if (stanza->type == STANZA_AVAILABLE) {
        stanza_error_answer(route->remote->shard, stanza, row->error, row->text);
    } else {
        shard_count(route->remote->shard, COUNTER_STANZAS_DROPPED);
    }
    stanza_free(&stanza);
}

void remote_refusal_answer(struct remote_route *route, struct stanza *stanza, enum s2s_failure failure)
{
    const struct s2s_failure_row *row = &S2S_FAILURE_ROWS[failure];
    if (remote_waiting_is_presence(stanza)) {
        refuse_presence(route, stanza, row);
        return;
    }
    shard_count(route->remote->shard, COUNTER_S2S_BOUNCED);
    stanza_error_answer(route->remote->shard, stanza, row->error, row->text);
    stanza_free(&stanza);
}
