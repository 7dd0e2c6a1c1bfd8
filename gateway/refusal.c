#include "gateway/refusal.h"

#include "gateway/refusal_rows.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct refusal REFUSALS[] = {
    {.name = "close"},
    {.name = "reset", .reset = true},
    {.name = "tls-unrecognized-name", .protocol = "tls", .compose = refusal_tls_unrecognized_name},
    {.name = "tls-no-application-protocol", .protocol = "tls", .compose = refusal_tls_no_application_protocol},
    {.name = "http-400", .protocol = "http", .compose = refusal_http_400},
    {.name = "https-redirect",
     .protocol = "http",
     .enough = refusal_https_redirect_enough,
     .compose = refusal_https_redirect},
    {.name = "xmpp-error", .protocol = "xmpp", .enough = refusal_xmpp_enough, .compose = refusal_xmpp_error},
};
const size_t REFUSAL_COUNT = ARRAY_LEN(REFUSALS);

const struct refusal *refusal_find(const char *name)
{
    for (size_t i = 0; i < REFUSAL_COUNT; i++) {
        if (strcmp(REFUSALS[i].name, name) == 0) return &REFUSALS[i];
    }
    return NULL;
}

enum probe_verdict refusal_look(const struct refusal *refusal, struct sight *sight)
{
    if (refusal->protocol == NULL) return PROBE_NO;
    int probe = probe_find(refusal->protocol);
    CHECK(probe >= 0);
    enum probe_verdict verdict = PROBES[probe].look(sight);
    if (verdict != PROBE_MATCH || sight->final || refusal->enough == NULL) return verdict;
    return refusal->enough(sight) ? PROBE_MATCH : PROBE_MORE;
}

void refusal_append(struct refusal_answer *answer, const void *data, size_t len)
{
    CHECK(len <= sizeof(answer->data) - answer->len);
    memcpy(answer->data + answer->len, data, len);
    answer->len += len;
}

void refusal_printf(struct refusal_answer *answer, const char *format, ...)
{
    size_t room = sizeof(answer->data) - answer->len;
    va_list args;
    va_start(args, format);
    int len = vsnprintf((char *)answer->data + answer->len, room, format, args);
    va_end(args);
    CHECK(len >= 0 && (size_t)len < room);
    answer->len += (size_t)len;
}
