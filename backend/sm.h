/* sm - stream management of one session: acknowledgements, resumption.
 *
 * What the client has sent is counted in sm_inbox; what was sent to the client is in sm_queue until the client has
 * acknowledged it.  Source: XEP-0198. */
#ifndef POSTERN_BACKEND_SM_H
#define POSTERN_BACKEND_SM_H

#include "backend/sm_inbox.h"
#include "backend/sm_queue.h"
#include "backend/stanza.h"
#include "backend/stream.h"
#include "lib/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct session;
struct shard;

enum {
    SM_ID_BYTES = 2 * STREAM_ID_BYTES + 1, /* with its NUL */
    SM_AGAIN_MS = 1000,                    /* from an answer that was short to the next <r/> */
};

/* Lives from <enable/> to the end of the session.  Counts are modulo 2^32. */
struct sm {
    unsigned magic;
    struct session *session;
    struct sm_inbox inbox;
    char id[SM_ID_BYTES]; /* of the resumption; "": not to be resumed */
    bool owes;            /* an <r/> was answered with less than all */
    bool asked;           /* our <r/> has no answer yet */
    uint32_t asked_after; /* so many stanzas */
    struct sm_queue queue;
    struct stream *resuming;    /* waits until all is settled; NULL: none */
    struct loop_deferred later; /* acknowledge or ask at the end of the turn */
    struct deadline deadline;   /* of an answer to <r/>; while detached, of the resumption */
};

/* sm_feature - to be added to the features after authentication. */
void sm_feature(struct buf *out);

/* sm_element - an element of XEP-0198 (taken) on a stream with a bound resource, or before it or authentication.
 * Returns the state that comes next. */
enum stream_state sm_element(struct stream *stream, struct elem *elem);

/* sm_send - write a stanza (borrowed, but its receipt and stored_id are taken over) to the client, and keep it. */
void sm_send(struct sm *sm, struct stanza *stanza);

/* sm_send_presence - likewise a presence that is printed already. */
void sm_send_presence(struct sm *sm, const char *text, size_t len);

/* sm_detach - the session's stream is about to end: whether the session may wait for a resumption.  Then it has no
 * stream any more. */
bool sm_detach(struct sm *sm, enum end_reason reason);

/* sm_stream_gone - a stream that waits to resume the session has ended. */
void sm_stream_gone(struct sm *sm, const struct stream *stream);

/* sm_end - the session is over: what its client has not acknowledged goes to its other sessions or is stored. */
void sm_end(struct sm **sm);

/* For the shard's deadline queues: nothing came in ack-timeout, or resume-timeout; SM_AGAIN_MS are over. */
void sm_on_silence(struct deadline *deadline, void *shard);
void sm_on_again(struct deadline *deadline, void *shard);
void sm_on_detached(struct deadline *deadline, void *shard);

#endif
