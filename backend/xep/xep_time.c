/* xep_time - XEP-0202: Entity Time. */
#include "backend/dispatch.h"
#include "backend/ns.h"
#include "backend/router.h"
#include "backend/stanza_error.h"

#include <string.h>
#include <time.h>

enum { TEXT_BYTES = 40, MINUTE_S = 60, HOUR_S = 3600 };

static void add(struct elem *time, const char *name, const char *text)
{
    elem_add_text(elem_add(time, NULL, name), text, strlen(text));
}

/* XEP-0082: +hh:mm. */
static void offset_text(long offset_s, struct buf *out)
{
    const long ahead_s = offset_s < 0 ? -offset_s : offset_s;
    buf_printf(out, "%c%02ld:%02ld", offset_s < 0 ? '-' : '+', ahead_s / HOUR_S, ahead_s % HOUR_S / MINUTE_S);
}

void xep_time_iq(struct shard *shard, const struct stanza *request)
{
    if (!elem_child(request->elem, NS_TIME, "time")) {
        stanza_error_answer(shard, request, STANZA_ERROR_BAD_REQUEST, NULL);
        return;
    }
    struct tm local = {0}, utc = {0};
    const time_t now = time(NULL);
    localtime_r(&now, &local);
    gmtime_r(&now, &utc);
    struct buf offset = {0};
    offset_text(local.tm_gmtoff, &offset);
    char text[TEXT_BYTES];
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
    struct stanza *reply = stanza_reply(request, "result");
    struct elem *answer = elem_add(reply->elem, NS_TIME, "time");
    elem_add_text(elem_add(answer, NULL, "tzo"), (const char *)buf_data(&offset), buf_len(&offset));
    add(answer, "utc", text);
    buf_free(&offset);
    router_deliver(shard, reply);
}
