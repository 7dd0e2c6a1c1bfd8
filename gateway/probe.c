#include "gateway/probe.h"

#include "gateway/probe_rows.h"

#include <string.h>

const struct probe PROBES[] = {
    {"tls", probe_tls_look, "TLS, by its ClientHello."},
    {"http", probe_http_look, "HTTP/1, by its request line."},
    {"http2", probe_http2_look, "HTTP/2 without TLS, by its preface."},
    {"xmpp", probe_xmpp_look, "XMPP without TLS, by its XML declaration or stream header."},
    {"ssh", probe_ssh_look, "SSH, by the client's identification."},
};
const size_t PROBE_COUNT = ARRAY_LEN(PROBES);

_Static_assert(ARRAY_LEN(PROBES) <= PROBE_MAX, "sets of probes are bit masks");

int probe_find(const char *name)
{
    for (size_t i = 0; i < PROBE_COUNT; i++) {
        if (strcmp(PROBES[i].name, name) == 0) return (int)i;
    }
    return -1;
}

enum probe_verdict probe_literal(const struct sight *sight, const char *const *texts, size_t count)
{
    enum probe_verdict verdict = PROBE_NO;
    for (size_t i = 0; i < count; i++) {
        size_t whole = strlen(texts[i]);
        size_t there = sight->len < whole ? sight->len : whole;
        if (there > 0 && memcmp(sight->data, texts[i], there) != 0) continue;
        if (there == whole) return PROBE_MATCH;
        if (!sight->final) verdict = PROBE_MORE;
    }
    return verdict;
}
