#include "bench/gateway/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORD_HEADER_BYTES = 5, RECORD_HANDSHAKE = 22 }; /* RFC 8446 section 5.1 */

static uint64_t hash_of(const uint8_t *data, size_t len)
{
    uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ data[i]) * 0x100000001b3;
    return hash;
}

void reply_make(struct reply *reply, uint32_t port, const void *request, size_t len)
{
    *reply = (struct reply){.port = port, .request_len = (uint32_t)len, .request_hash = hash_of(request, len)};
    memcpy(reply->magic, REPLY_MAGIC, sizeof(reply->magic));
    for (size_t i = 0; i < sizeof(reply->filler); i++)
        reply->filler[i] = (uint8_t)('0' + i);
}

bool reply_is(const struct reply *reply, uint32_t port, const void *request, size_t len)
{
    struct reply wanted;
    reply_make(&wanted, port, request, len);
    return memcmp(reply, &wanted, sizeof(wanted)) == 0;
}

size_t request_len(const uint8_t *data, size_t len)
{
    if (len < RECORD_HEADER_BYTES) return 0;
    size_t need = REQUEST_BYTES;
    if (data[0] == RECORD_HANDSHAKE)
        need = RECORD_HEADER_BYTES + ((size_t)data[3] << 8 | data[4]);
    else if (data[0] != REQUEST_FIRST)
        fail("a backend got what no client sent: it begins with 0x%02x", data[0]);
    if (need > REQUEST_MAX_BYTES) fail("a backend got a request of %zu bytes", need);
    return len >= need ? need : 0;
}

const uint8_t *bulk_pattern(void)
{
    static uint8_t *pattern;
    if (pattern != NULL) return pattern;
    pattern = malloc(2 * BULK_PERIOD_BYTES);
    if (pattern == NULL) fail("out of memory");
    uint32_t x = 2463534242;
    for (size_t i = 0; i < BULK_PERIOD_BYTES; i++) {
        x ^= x << 13, x ^= x >> 17, x ^= x << 5; /* xorshift */
        pattern[i] = (uint8_t)x;
    }
    memcpy(pattern + BULK_PERIOD_BYTES, pattern, BULK_PERIOD_BYTES);
    return pattern;
}

void request_load(struct request *request, const char *text)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL) fail("expected FILE:INDEX, not '%s'", text);
    char *path = strndup(text, (size_t)(colon - text));
    FILE *file = path != NULL ? fopen(path, "rb") : NULL;
    if (file == NULL) fail("%s: %s", path, strerror(errno));
    request->len = fread(request->data, 1, sizeof(request->data), file);
    request->port = (uint32_t)number_parse(colon + 1);
    if (request_len(request->data, request->len) != request->len) fail("%s: not one whole ClientHello", path);
    fclose(file);
    free(path);
}
