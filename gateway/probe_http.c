#include "gateway/probe_rows.h"

enum {
    METHOD_MAX_BYTES = 20, /* the longest registered one, UPDATEREDIRECTREF, has 17 */
    LINE_MAX_BYTES = 8192, /* what common servers take */
};

/* The length of the method, METHOD_MAX_BYTES + 1 if it is none. */
static size_t method_length(const uint8_t *data, size_t len)
{
    size_t i = 0;
    while (i < len && i <= METHOD_MAX_BYTES && ((data[i] >= 'A' && data[i] <= 'Z') || (data[i] == '-' && i > 0)))
        i++;
    bool ended = i < len && data[i] == ' ' && i > 0;
    return ended || i == len ? i : METHOD_MAX_BYTES + 1;
}

/* The bytes end within the request line.  A path is proof enough when no more are looked at: a web server has an answer
 * for a request that is too long or too slow. */
static enum probe_verdict cut_short(const struct sight *sight, size_t target)
{
    if (sight->len < LINE_MAX_BYTES && !sight->final) return PROBE_MORE;
    return sight->len > target && sight->data[target] == '/' ? PROBE_MATCH : PROBE_NO;
}

enum probe_verdict probe_http_look(struct sight *sight)
{
    const uint8_t *data = sight->data;
    size_t len = sight->len < LINE_MAX_BYTES ? sight->len : LINE_MAX_BYTES;

    size_t method = method_length(data, len);
    if (method > METHOD_MAX_BYTES) return PROBE_NO;
    size_t target = method + 1;
    size_t end = target;
    while (end < len && data[end] > ' ' && data[end] != 0x7f)
        end++;
    if (end >= len) return cut_short(sight, target);
    if (data[end] != ' ' || end == target) return PROBE_NO;

    static const char VERSION[] = " HTTP/1.";
    for (size_t i = 0; i < sizeof(VERSION) - 1; i++) {
        if (end + i == len) return cut_short(sight, target);
        if (data[end + i] != (uint8_t)VERSION[i]) return PROBE_NO;
    }
    return PROBE_MATCH;
}
