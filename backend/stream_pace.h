/* stream_pace - how fast a bound stream is read, and whether its client is still there.
 *
 * Who sends more than the limits allow is not read from for some time: nothing is dropped, TCP tells the client to
 * wait. Source: RFC 6120 section 4.6 (silent peers), XEP-0199 section 4.2 (pings to clients). */
#ifndef POSTERN_BACKEND_STREAM_PACE_H
#define POSTERN_BACKEND_STREAM_PACE_H

#include "lib/check.h"
#include "lib/loop.h"

#include <stdbool.h>
#include <stddef.h>

struct stream;

enum {
    STREAM_PAUSE_MS = 10,     /* for those it sends to, to catch up */
    STREAM_REST_MS = 200,     /* the longest time between two looks at a client that is over its rate */
    STREAM_ANSWER_MS = 60000, /* for the answer to a ping */
};

/* stream_pace_charge - a bound stream has sent so many bytes and stanzas; true: it must pause. */
MUSTCHECK bool stream_pace_charge(struct stream *stream, size_t bytes, unsigned stanzas);

/* stream_pace_begin_pause - the stream has just been paused: have it go on in time. */
void stream_pace_begin_pause(struct stream *stream);

/* stream_pace_heard - something came on a bound stream: its client is there. */
void stream_pace_heard(struct stream *stream);

/* For the shard's deadline queues: a pause is over; nothing came for client-ping; no answer to a ping. */
void stream_pace_on_pause_over(struct deadline *deadline, void *shard);
void stream_pace_on_quiet(struct deadline *deadline, void *shard);
void stream_pace_on_no_answer(struct deadline *deadline, void *shard);

#endif
