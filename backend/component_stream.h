/* component_stream - one component's stream: header, handshake, stanzas, end. */
#ifndef POSTERN_BACKEND_COMPONENT_STREAM_H
#define POSTERN_BACKEND_COMPONENT_STREAM_H

#include "backend/peer_stream.h"
#include "lib/addr.h"
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
    COMPONENT_OPENING,   /* a stream header is expected */
    COMPONENT_HANDSHAKE, /* the proof */
    COMPONENT_MOVING,    /* to its domain's shard: input is held back */
    COMPONENT_BOUND,
    COMPONENT_PAUSED, /* input is held back for a moment */
    COMPONENT_CLOSING,
};

/* Touched only on the shard of its desk; in none while it moves. */
struct component {
    unsigned magic;
    enum component_phase phase;
    struct list link; /* desk->all */
    struct component_desk *desk;
    struct hosts *hosts; /* keeps the certificates of the handshake */
    struct peer_stream *peer;
    struct deadline deadline;
    char *domain; /* as the header asked for, once it is one of ours; NULL before */
};

/* component_stream_begin - with a descriptor (taken), counted in backend->streams. */
void component_stream_begin(struct component_desk *desk, int fd, bool direct_tls, const struct addr *peer);

/* For the desk's queues. */
void component_on_hurry(struct deadline *deadline, void *desk);
void component_on_pause_over(struct deadline *deadline, void *desk);

#endif
