/* s2s_stream - one stream between this server and another, from either side.
 *
 * s2s_in has what the side that was connected to does, s2s_out the one that connects; once a pair of domains is
 * authenticated both are alike, but for the direction in which stanzas may go (with XEP-0288: both).  A stream belongs
 * to the shard of the first remote domain on it.  Source: RFC 6120, XEP-0220, XEP-0178, XEP-0288, XEP-0368. */
#ifndef POSTERN_BACKEND_S2S_STREAM_H
#define POSTERN_BACKEND_S2S_STREAM_H

#include "backend/dialer.h"
#include "backend/peer_stream.h"
#include "backend/s2s_policy.h"
#include "backend/s2s_trace.h"
#include "backend/s2s_unacked.h"
#include "backend/stanza.h"
#include "lib/list.h"

#include <stdbool.h>
#include <stdint.h>

struct hosts;
struct remote;
struct s2s_sm;
struct terminated;

enum s2s_state {
    S2S_DIALING,  /* out: no connection yet */
    S2S_SECURING, /* the TLS handshake runs */
    S2S_OPENING,  /* a stream header is expected */
    S2S_FEATURES, /* out: the other's features are expected */
    S2S_PROCEED,  /* out: the answer to STARTTLS */
    S2S_ANSWER,   /* out: the answer to SASL or dialback */
    S2S_RESUMING, /* out: the answer to the resumption of the stream before */
    S2S_PROVING,  /* in: STARTTLS or a proof is expected */
    S2S_MOVING,   /* in: on the way to its domain's shard */
    S2S_OPEN,     /* stanzas, and proofs for more pairs of domains */
    S2S_PAUSED,   /* likewise, but input is held back for some time */
    S2S_CLOSING,
    S2S_ENDED,
};

enum s2s_proof { S2S_PROOF_NONE, S2S_PROOF_CERTIFICATE, S2S_PROOF_DIALBACK };

/* A pair of domains on a stream. */
struct s2s_pair {
    struct list link; /* stream->pairs */
    char *local, *remote;
    enum s2s_proof proof;               /* NONE: under way */
    struct dialback_question *question; /* in: what we have asked its server; NULL: nothing */
};

/* Touched only on its shard. */
struct s2s_stream {
    unsigned magic;
    enum s2s_state state;
    bool outgoing;
    bool bidi;                                          /* stanzas go both ways (XEP-0288) */
    bool secure;                                        /* behind TLS, ours or the gateway's */
    bool sm_offered, dialback_offered, dialback_errors; /* by the other's features */
    struct list link; /* remote->streams once it is known for whom it is; before it the shard's */
    struct shard *shard;
    struct remote *remote;    /* NULL: not known yet */
    struct hosts *hosts;      /* the snapshot that it uses */
    struct peer_stream *peer; /* NULL: while it is dialing */
    struct dialer *dialer;    /* out */
    struct s2s_policy policy;
    char *local, *domain;       /* the first pair, as in the headers; in: may be NULL at first */
    struct list pairs;          /* struct s2s_pair */
    struct s2s_unacked unacked; /* what was sent and not acknowledged */
    struct s2s_sm *sm;          /* stream management; NULL: not enabled */
    struct s2s_trace trace;
    enum s2s_failure failure;  /* out: why it ended */
    const char *cert_why;      /* static: why the certificate proves nothing; NULL: it does */
    int64_t begun_ms, used_ms; /* of loop_now_ms; used: the last stanza either way */
};

/* s2s_out_begin - connect to the remote's domain for one of ours.  It ends in remote_link_up or remote_link_failed,
 * never before this returns.  trace may be NULL. */
struct s2s_stream *s2s_out_begin(struct remote *remote, const char *local, const struct s2s_trace *trace);

/* s2s_out_join - let one more of our domains use an open outgoing stream: ends likewise.  false: this stream cannot. */
MUSTCHECK bool s2s_out_join(struct s2s_stream *stream, const char *local);

/* s2s_stream_carries - whether stanzas from local to remote's domain may be sent on it now. */
bool s2s_stream_carries(const struct s2s_stream *stream, const char *local);

/* s2s_stream_write - queue XML that stands in a stream of jabber:server; empties buf. */
void s2s_stream_write(struct s2s_stream *stream, struct buf *buf);

/* s2s_stream_pending - bytes that are queued and not yet taken by the kernel. */
size_t s2s_stream_pending(const struct s2s_stream *stream);

/* s2s_stream_fail - end it with a stream error (text may be NULL).  s2s_stream_close - in order.  s2s_stream_abort -
 * without a word. Each ends in remote_link_gone, at the end of the turn at the earliest. */
void s2s_stream_fail(struct s2s_stream *stream, enum end_reason end, const char *condition, const char *text);
void s2s_stream_close(struct s2s_stream *stream, enum end_reason end);
void s2s_stream_abort(struct s2s_stream *stream, enum end_reason end);

const char *s2s_stream_state_name(const struct s2s_stream *stream);

#endif
