#include "gateway/refusal_rows.h"

#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

/* The stream header up to its end, or NULL if it has not come whole. */
static const uint8_t *stream_header(const struct sight *sight, size_t *len)
{
    static const char OPENING[] = "<stream:stream";
    const uint8_t *start = memmem(sight->data, sight->len, OPENING, sizeof(OPENING) - 1);
    if (start == NULL) return NULL;
    const uint8_t *end = memchr(start, '>', (size_t)(sight->data + sight->len - start));
    *len = end != NULL ? (size_t)(end - start) : 0;
    return end != NULL ? start : NULL;
}

static bool has(const uint8_t *data, size_t len, const char *text)
{
    return memmem(data, len, text, strlen(text)) != NULL;
}

bool refusal_xmpp_enough(const struct sight *sight)
{
    size_t len = 0;
    return stream_header(sight, &len) != NULL;
}

void refusal_xmpp_error(const struct sight *sight, struct refusal_answer *answer)
{
    size_t len = 0;
    const uint8_t *header = stream_header(sight, &len);
    bool server = header != NULL && (has(header, len, "'jabber:server'") || has(header, len, "\"jabber:server\""));
    uint64_t id = 0;
    CHECK(getrandom(&id, sizeof(id), 0) == sizeof(id));
    refusal_printf(answer,
                   "<?xml version='1.0'?><stream:stream id='%016" PRIx64 "' version='1.0' xml:lang='en' "
                   "xmlns='jabber:%s' xmlns:stream='http://etherx.jabber.org/streams'>"
                   "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
                   "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>XMPP is not served here</text></stream:error>"
                   "</stream:stream>",
                   id, server ? "server" : "client");
}
