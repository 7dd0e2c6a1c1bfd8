#include "gateway/probe_rows.h"

enum { WHITESPACE_MAX_BYTES = 256 };

static bool is_whitespace(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

enum probe_verdict probe_xmpp_look(struct sight *sight)
{
    /* Neither a byte order mark nor space before the declaration is right, but that is for the stream error of an XMPP
     * server to say. */
    static const char *const MARK[] = {"\xef\xbb\xbf"};
    static const char *const OPENING[] = {"<?xml", "<stream:stream"};
    if (sight->len == 0) return sight->final ? PROBE_NO : PROBE_MORE;
    enum probe_verdict mark = probe_literal(sight, MARK, ARRAY_LEN(MARK));
    if (mark == PROBE_MORE) return PROBE_MORE;

    size_t start = mark == PROBE_MATCH ? 3 : 0;
    size_t at = start;
    while (at < sight->len && at - start <= WHITESPACE_MAX_BYTES && is_whitespace(sight->data[at]))
        at++;
    if (at - start > WHITESPACE_MAX_BYTES) return PROBE_NO;
    struct sight rest = {.data = sight->data + at, .len = sight->len - at, .final = sight->final};
    return probe_literal(&rest, OPENING, ARRAY_LEN(OPENING));
}
