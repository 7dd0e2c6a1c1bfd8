/* xep_last - XEP-0012: Last Activity; of a host, its uptime. */
#include "backend/dispatch.h"
#include "backend/ns.h"
#include "backend/router.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum { NUMBER_BYTES = 24 };

static void answer(struct shard *shard, const struct stanza *request, int64_t seconds)
{
    char text[NUMBER_BYTES];
    snprintf(text, sizeof(text), "%" PRId64, seconds < 0 ? 0 : seconds);
    struct stanza *reply = stanza_reply(request, "result");
    elem_set(elem_add(reply->elem, NS_LAST, "query"), "seconds", text);
    router_deliver(shard, reply);
}

void xep_last_iq(struct shard *shard, const struct stanza *request)
{
    if (!elem_child(request->elem, NS_LAST, "query")) {
        stanza_error_answer(shard, request, STANZA_ERROR_BAD_REQUEST, NULL);
        return;
    }
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    answer(shard, request, now.tv_sec - shard->backend->started_s);
}
