/* xep_ping - XEP-0199: XMPP Ping. */
#include "backend/dispatch.h"
#include "backend/router.h"

void xep_ping_iq(struct shard *shard, const struct stanza *request)
{
    router_deliver(shard, stanza_reply(request, "result"));
}
