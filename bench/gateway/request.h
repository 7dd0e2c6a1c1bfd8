/* request - what clients of the gateway ask, and the reply by which they know who answered.
 *
 * A client sends a request: a captured ClientHello, or REQUEST_BYTES of plaintext.  A backend answers with one struct
 * reply, which says on which of its ports the request arrived and what it was, so that a wrong route or a byte that
 * was changed on the way is seen.  On the bulk port the reply is followed by bytes of bulk_pattern. */
#ifndef POSTERN_BENCH_GATEWAY_REQUEST_H
#define POSTERN_BENCH_GATEWAY_REQUEST_H

#include "bench/common/generator.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    REQUEST_BYTES = 64,  /* of plaintext; it begins with REQUEST_FIRST */
    REQUEST_FIRST = 'P', /* neither a TLS record nor XML */
    REQUEST_MAX_BYTES = 16 * 1024,
    BULK_PERIOD_BYTES = 1 << 20, /* after so many bytes the pattern repeats */
};

struct reply {
    char magic[4]; /* REPLY_MAGIC */
    uint32_t port; /* index of the backend's port */
    uint32_t request_len;
    uint32_t unused;
    uint64_t request_hash;
    uint8_t filler[40];
};
#define REPLY_MAGIC "PBR1"
_Static_assert(sizeof(struct reply) == 64, "the reply is 64 bytes");

void reply_make(struct reply *reply, uint32_t port, const void *request, size_t len);

/* reply_is - whether it is the answer of this port to this request. */
bool reply_is(const struct reply *reply, uint32_t port, const void *request, size_t len);

/* request_len - length of the request that begins with data, 0 if more bytes are needed. */
size_t request_len(const uint8_t *data, size_t len);

/* bulk_pattern - BULK_PERIOD_BYTES of a pattern, twice in a row, so that any period can be compared in one piece. */
const uint8_t *bulk_pattern(void);

/* A request and the port that must answer it. */
struct request {
    uint8_t data[REQUEST_MAX_BYTES];
    size_t len;
    uint32_t port;
};

/* request_load - read "FILE:PORT-INDEX". */
void request_load(struct request *request, const char *text);

#endif
