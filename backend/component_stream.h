/* component_stream - one component's stream: header, handshake, stanzas, end. */
#ifndef POSTERN_BACKEND_COMPONENT_STREAM_H
#define POSTERN_BACKEND_COMPONENT_STREAM_H

#include "backend/end_reason.h"
#include "backend/stream.h"
#include "backend/xml.h"
#include "lib/addr.h"
#include "lib/buf.h"
#include "lib/io.h"
#include "lib/list.h"
#include "lib/loop.h"
#include "lib/map.h"

#include <stdbool.h>

struct hosts;
struct shard;

struct component_desk {
    struct shard *shard;
    struct list all;              /* struct component, link */
    struct map *by_domain;        /* those that may send and receive */
    struct deadline_queue *hurry; /* those that have not shown that they know the secret: auth-timeout */
    struct deadline_queue *pause; /* those that are ahead of whom they send to */
};

enum component_phase {
    COMPONENT_SECURING,
    COMPONENT_OPENING,   /* a stream header is expected */
    COMPONENT_HANDSHAKE, /* the proof */
    COMPONENT_MOVING,    /* to its domain's shard: input is held back */
    COMPONENT_BOUND,
    COMPONENT_PAUSED, /* input is held back for a moment */
    COMPONENT_CLOSING,
    COMPONENT_ENDED,
};

/* Touched only on the shard of its desk; in none while it moves. */
struct component {
    unsigned magic;
    enum component_phase phase;
    enum end_reason end;
    struct list link; /* desk->all */
    struct component_desk *desk;
    struct hosts *hosts; /* keeps the certificates of the handshake */
    struct io *io;
    struct xml *xml;
    struct buf held;
    struct deadline deadline;
    struct loop_deferred deferred;
    char *domain; /* as the header asked for, once it is one of ours; NULL before */
    bool header_sent;
    struct addr peer;
    char conn[STREAM_CONNECTION_ID_BYTES]; /* for the log */
    char id[2 * STREAM_ID_BYTES + 1];      /* of the stream */
};

/* component_stream_begin - with a descriptor (taken), counted in backend->streams. */
void component_stream_begin(struct component_desk *desk, int fd, bool direct_tls, const struct addr *peer);

/* component_write - queue buf, and empty it; a component that does not read is closed. */
void component_write(struct component *component, struct buf *buf);

/* component_fail - tell a stream error, and begin to close.  Does nothing when it is closing already. */
void component_fail(struct component *component, enum end_reason end, const char *condition, const char *text);

/* component_abort - end it at the end of this turn, without a word. */
void component_abort(struct component *component, enum end_reason end);

/* For the desk's queues. */
void component_on_hurry(struct deadline *deadline, void *desk);
void component_on_pause_over(struct deadline *deadline, void *desk);

#endif
