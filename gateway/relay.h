/* relay - moves bytes one way between two non-blocking stream sockets.
 *
 * Few bytes go through one buffer that is shared by all connections of a worker; when reads keep filling it, they go
 * by splice(2) through a pooled pipe instead.  What the sink did not take is kept, and reading pauses until it is
 * gone.  The end of the source is passed on as the end of the sink.  A way with nothing under way holds no memory. */
#ifndef POSTERN_GATEWAY_RELAY_H
#define POSTERN_GATEWAY_RELAY_H

#include "gateway/pipe_pool.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RELAY_BUFFER_BYTES = 64 * 1024 };

/* What the connections of a worker share. */
struct relay_shared {
    uint8_t *buffer; /* RELAY_BUFFER_BYTES */
    struct pipe_pool pipes;
};

void relay_shared_init(struct relay_shared *shared);
void relay_shared_close(struct relay_shared *shared);

struct relay_rest;

/* One direction; zeroed before first use.  rest and pipe are never both set. */
struct relay_way {
    uint64_t bytes;              /* read from the source so far */
    struct relay_rest *rest;     /* read by copying, not yet written */
    struct pipe_pool_pipe *pipe; /* holds spliced bytes that are not yet written */
    uint8_t full_reads;          /* reads in a row that filled the buffer */
    bool bulk;                   /* splice rather than copy */
    bool source_ended;           /* end of file was read */
    bool last;                   /* the other way is finished: closing both sockets passes the end on */
    bool finished;               /* and has been passed on */
};

enum relay_status {
    RELAY_OK,
    RELAY_SOURCE_BROKEN, /* the source's connection failed */
    RELAY_SINK_BROKEN,   /* the sink's did */
};

/* relay_queue - bytes for the sink, behind those that are queued already and ahead of what will be read. */
void relay_queue(struct relay_way *way, const void *data, size_t len);

/* relay_queued - the bytes that are queued, *data; 0: none.  relay_taken: the sink has taken so many of them. */
size_t relay_queued(const struct relay_way *way, const uint8_t **data);
void relay_taken(struct relay_way *way, size_t len);

/* relay_move - move what can be moved now, up to a bound that keeps one connection from starving the others. */
MUSTCHECK enum relay_status relay_move(struct relay_shared *shared, struct relay_way *way, int source, int sink);

/* Which readiness the way waits for: more to read from its source, or room in its sink. */
bool relay_wants_read(const struct relay_way *way);
bool relay_wants_write(const struct relay_way *way);

/* relay_release - drop what is under way. */
void relay_release(struct relay_shared *shared, struct relay_way *way);

#endif
