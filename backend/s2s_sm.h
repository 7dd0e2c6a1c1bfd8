/* s2s_sm - stream management of a stream between servers: acknowledgements, and what is left of a broken stream.
 *
 * What the other server has sent is counted in sm_inbox, what was sent to it is in s2s_unacked.  Both survive the
 * connection if the stream may be resumed: the side that connected asks for that when it connects again (s2s_resume).
 * With XEP-0288 both directions are counted.  Source: XEP-0198. */
#ifndef POSTERN_BACKEND_S2S_SM_H
#define POSTERN_BACKEND_S2S_SM_H

#include "backend/elem.h"
#include "backend/s2s_stream.h"
#include "backend/s2s_unacked.h"
#include "backend/sm_inbox.h"
#include "backend/stanza.h"
#include "lib/buf.h"
#include "lib/list.h"
#include "lib/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event;
struct remote;
struct s2s_desk;
struct shard;

enum {
    S2S_SM_AGAIN_MS = 1000,    /* from an answer that was short, or something that is worth no question, to <r/> */
    S2S_SM_OFFER_MS = 1000,    /* that what goes to a server which has connected waits for what it says to our offer */
    S2S_SM_WAITING_MAX = 1000, /* broken streams of a shard that wait to be resumed */
    S2S_SM_WAITING_EACH = 4,   /* of them, of one domain that had connected to us */
};

/* Of one shard. */
struct s2s_sm_desk {
    struct list waiting; /* struct s2s_sm without a stream, link: oldest first */
    unsigned waiting_count;
    struct deadline_queue *offer, *again, *silence;
};

struct s2s_sm_desk *s2s_sm_desk_new(struct shard *shard);
/* s2s_sm_desk_free - what waits is forgotten. */
void s2s_sm_desk_free(struct s2s_sm_desk **desk);
/* s2s_sm_desk_follow - the hosts have changed.  s2s_sm_desk_stop - nothing will be resumed. */
void s2s_sm_desk_follow(struct shard *shard);
void s2s_sm_desk_stop(struct shard *shard);

enum s2s_sm_phase {
    S2S_SM_OFFERED,  /* in: <enable/> or <resume/> may come, and nothing is sent before */
    S2S_SM_ASKED,    /* out: the answer to <enable/> is expected */
    S2S_SM_RESUMING, /* in: what came on the stream before is being settled; out: likewise, then the answer to <resume/>
                      */
    S2S_SM_ON,
    S2S_SM_WAITING, /* to be resumed */
};

/* Invariants: stream is NULL while WAITING, and only then; pairs, local and remote are there while WAITING and
 * RESUMING: what the stream had that is to be resumed. */
struct s2s_sm {
    unsigned magic;
    enum s2s_sm_phase phase;
    struct shard *shard;
    struct s2s_stream *stream; /* RESUMING: the new one */
    struct sm_inbox inbox;
    char *id;          /* of the resumption, from the side that was connected to; NULL: not to be resumed */
    int64_t resume_ms; /* how long it may wait for that */
    uint32_t base;     /* sent before it was enabled, in s2s_unacked's count */
    uint32_t told;     /* the last number that we have acknowledged */
    bool outgoing, bidi;
    bool spent;           /* WAITING, RESUMING: what was not acknowledged has gone another way */
    bool owes;            /* an <r/> was answered with less than all */
    bool asked;           /* our <r/> has no answer yet; RESUMING, out: our <resume/> */
    uint32_t asked_after; /* so many stanzas */
    struct loop_deferred later;
    struct deadline deadline; /* of the desk's */
    struct list link;         /* desk->waiting */
    struct remote *remote;    /* pinned */
    char *local;
    struct list pairs; /* struct s2s_pair that are proved, without a stream */
    struct s2s_unacked unacked;
    struct event *timer; /* of the resumption */
    int64_t until_ms;    /* likewise, of loop_now_ms */
};

/* s2s_sm_is_on - whether stanzas are counted. */
bool s2s_sm_is_on(const struct s2s_stream *stream);

/* s2s_sm_feature - to be added to the features of which the other server can make use once it is authenticated. */
void s2s_sm_feature(struct buf *out);

/* s2s_sm_offer - in: a stream to which it was offered, and which carries our stanzas as well (XEP-0288), is open.
 * s2s_in_link follows, sooner or later. */
void s2s_sm_offer(struct s2s_stream *stream);

/* s2s_sm_begin - out: the first pair is proved, and it was offered: resume the stream before, or enable it.
 * s2s_out_open follows. */
void s2s_sm_begin(struct s2s_stream *stream);

/* s2s_sm_element - an element of XEP-0198 (taken). */
void s2s_sm_element(struct s2s_stream *stream, struct elem *elem);

/* s2s_sm_received - a stanza came: count it, and give it its receipt. */
void s2s_sm_received(struct s2s_stream *stream, struct stanza *stanza);

/* s2s_sm_sent - one was sent, and is in stream->unacked. */
void s2s_sm_sent(struct s2s_stream *stream);

/* s2s_sm_farewell - the stream is about to be ended in order: acknowledge what came. */
void s2s_sm_farewell(struct s2s_stream *stream);

/* s2s_sm_gone - its connection is over: what may be resumed waits, with what was not acknowledged.  Before
 * remote_link_gone. */
void s2s_sm_gone(struct s2s_stream *stream);

/* For s2s_resume. */

struct s2s_sm *s2s_sm_new(struct s2s_stream *stream, enum s2s_sm_phase phase);
/* s2s_sm_free - also while it waits: what was not acknowledged goes its way without it. */
void s2s_sm_free(struct s2s_sm *sm);
/* s2s_sm_on - count from now on. */
void s2s_sm_on(struct s2s_sm *sm);
/* s2s_sm_ask - send <r/>. */
void s2s_sm_ask(struct s2s_sm *sm);
void s2s_sm_refuse(struct s2s_stream *stream, const char *condition);
/* s2s_sm_too_high - end the stream, whose other side has lost count. */
void s2s_sm_too_high(struct s2s_stream *stream, const struct s2s_sm *sm, const struct s2s_unacked *unacked, uint32_t h);

#endif
