#include "gateway/probe_rows.h"

/* Whether so much of a hello is there that nothing but TLS begins like this. */
static bool hello_begun(const struct sight *sight)
{
    const uint8_t *d = sight->data;
    if (sight->len >= 3 && d[0] == 0x16) return d[1] == 3 && d[2] <= 4;
    return sight->len >= 5 && (d[0] & 0x80) != 0 && d[2] == 1 && d[3] == 3 && d[4] <= 4;
}

enum probe_verdict probe_tls_look(struct sight *sight)
{
    sight->hello_done = false;
    sight->hello_partial = false;
    switch (clienthello_parse(sight->data, sight->len, &sight->hello)) {
    case CLIENTHELLO_COMPLETE:
        sight->hello_done = true;
        return PROBE_MATCH;
    case CLIENTHELLO_MORE:
        if (!sight->final) return PROBE_MORE;
        sight->hello_partial = hello_begun(sight);
        return sight->hello_partial ? PROBE_MATCH : PROBE_NO;
    case CLIENTHELLO_NO:
    case CLIENTHELLO_BAD:
        break;
    }
    return PROBE_NO;
}
