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
#include "backend/server_cert.h"
#include "backend/shaper.h"
#include "backend/stanza.h"
#include "lib/list.h"

#include <stdbool.h>
#include <stdint.h>

struct dialback;
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
    S2S_SASL,     /* out: the answer to SASL; nothing else may be said before it */
    S2S_ANSWER,   /* out: the answer to dialback */
    S2S_RESUMING, /* the stream before is being resumed; out: or stream management enabled */
    S2S_PROVING,  /* in: STARTTLS or a proof is expected */
    S2S_MOVING,   /* in: on the way to its domain's shard */
    S2S_OPEN,     /* stanzas, and proofs for more pairs of domains */
    S2S_PAUSED,   /* likewise, but input is held back for some time */
    S2S_CLOSING,
    S2S_ENDED,
};

enum s2s_proof { S2S_PROOF_NONE, S2S_PROOF_CERTIFICATE, S2S_PROOF_DIALBACK };

enum { S2S_PAIRS_MAX = 100 }; /* on one stream */

/* A pair of domains on a stream. */
struct s2s_pair {
    struct list link; /* stream->pairs */
    struct s2s_stream *stream;
    char *local, *remote;
    bool ours;                /* we ask the other server to take stanzas of local; else it asks us to take remote's */
    bool one_way;             /* not ours: the other side's certificate is enough for us, but it has not asked */
    enum s2s_proof proof;     /* NONE: under way */
    struct dialback *asks;    /* not ours: the question at remote's server; NULL: none */
    struct deadline deadline; /* ours: of the answer, on a stream that is open already */
};

/* Touched only on its shard. */
struct s2s_stream {
    unsigned magic;
    enum s2s_state state;
    bool outgoing;
    bool bidi;            /* stanzas go both ways (XEP-0288) */
    bool secure;          /* behind TLS, ours or the gateway's */
    bool plain;           /* in: its listener has no TLS */
    bool restarted;       /* SASL has succeeded: the next features are the last */
    bool newcomer;        /* in: counted in backend->newcomers */
    bool linked;          /* remote_link_up was told */
    bool failed;          /* out: failure and why are set */
    bool offers_dialback; /* out: the other side does */
    bool sm_offered;      /* by the features of the side that was connected to */
    bool dialback_errors; /* out: likewise */
    unsigned refusals;    /* in: failed proofs */
    struct list all;      /* desk->all */
    struct list link;     /* remote->streams, once it is known whose it is */
    struct shard *shard;
    struct remote *remote;         /* in: NULL until a proof begins */
    struct hosts *hosts;           /* the snapshot that policy points into */
    struct peer_stream *peer;      /* NULL: there is no connection */
    struct terminated *terminated; /* in: by the gateway; NULL: not by it */
    struct dialer *dialer;         /* out: until a pair is open */
    const struct dialer_way *way;  /* out: how we came to it; the dialer's */
    struct s2s_policy policy;      /* of the first pair, once it is known */
    struct server_cert cert;       /* what the other's certificate proves of domain */
    char *local, *domain;          /* the first pair, as in the headers; in: NULL at first */
    char *their_id;                /* out: of the stream, as the other side has it; NULL: none yet */
    char *lang;                    /* of stanzas that name none, by the other's header; NULL: as we say in ours */
    struct list pairs;             /* struct s2s_pair */
    struct list waiting;           /* out: struct dialback, to be asked when it is ready for them */
    struct list asked;             /* out: struct dialback, likewise, without an answer */
    struct s2s_unacked unacked;    /* what was sent and not acknowledged */
    struct s2s_sm *sm;             /* stream management; NULL: not enabled */
    struct s2s_trace trace;
    enum s2s_failure failure; /* out: why it came to nothing */
    char *why;                /* likewise, for a person; NULL: nothing to add */
    struct elem *proof;       /* in: waits for the stream's move; NULL: none */
    struct shaper stanza_shaper, byte_shaper;
    int64_t resume_ms;        /* PAUSED: not before */
    struct deadline deadline; /* until it is open: auth-timeout; of a pause */
    struct loop_deferred gone;
    int64_t begun_ms, used_ms; /* of loop_now_ms; used: the last stanza either way */
};

/* s2s_out_begin - connect to the remote's domain for one of ours.  It ends in remote_link_up or remote_link_failed,
 * never before this returns.  trace may be NULL. */
struct s2s_stream *s2s_out_begin(struct remote *remote, const char *local, const struct s2s_trace *trace);

/* s2s_out_join - let one more of our domains use an open outgoing stream: ends likewise.  false: this stream cannot. */
MUSTCHECK bool s2s_out_join(struct s2s_stream *stream, const char *local);

/* s2s_stream_is_open - whether stanzas may come. */
static inline bool s2s_stream_is_open(const struct s2s_stream *stream)
{
    return stream->state == S2S_OPEN || stream->state == S2S_PAUSED;
}

/* s2s_stream_carries - whether stanzas from local to the remote's domain may be sent on it now. */
bool s2s_stream_carries(const struct s2s_stream *stream, const char *local);
/* s2s_stream_will_carry - in: whether they may be as soon as it is known what becomes of stream management: ends in
 * remote_link_up or remote_link_gone. */
bool s2s_stream_will_carry(const struct s2s_stream *stream, const char *local);

/* s2s_stream_write - queue XML that stands in a stream of jabber:server; empties buf. */
void s2s_stream_write(struct s2s_stream *stream, struct buf *buf);

/* s2s_stream_pending - bytes that are queued and not yet taken by the kernel. */
size_t s2s_stream_pending(const struct s2s_stream *stream);

/* s2s_stream_fail - end it with a stream error (text may be NULL); s2s_stream_fail_with: with a condition of our own,
 * which is XML.  s2s_stream_close - in order.  s2s_stream_abort -
 * without a word.  Each ends in remote_link_gone or remote_link_failed, at the end of the turn at the earliest. */
void s2s_stream_fail(struct s2s_stream *stream, enum end_reason end, const char *condition, const char *text);
void s2s_stream_fail_with(struct s2s_stream *stream, enum end_reason end, const char *condition, const char *xml);
void s2s_stream_close(struct s2s_stream *stream, enum end_reason end);
void s2s_stream_abort(struct s2s_stream *stream, enum end_reason end);

/* s2s_stream_sees - whether the other side may know that the domain is ours: that an onion service is on this server is
 * told only where it is asked for as one. */
bool s2s_stream_sees(const struct s2s_stream *stream, const char *domain);

/* s2s_stream_take - a stanza (taken) from the other server. */
void s2s_stream_take(struct s2s_stream *stream, struct elem *elem);

/* s2s_stream_rest - hold input back until resume_ms, or for a moment at least. */
void s2s_stream_rest(struct s2s_stream *stream);

/* s2s_stream_pair - the pair, or NULL. ours: as in struct s2s_pair. */
struct s2s_pair *s2s_stream_pair(const struct s2s_stream *stream, const char *local, const char *remote, bool ours);
struct s2s_pair *s2s_stream_add_pair(struct s2s_stream *stream, const char *local, const char *remote, bool ours);
void s2s_pair_free(struct s2s_pair *pair);

/* s2s_stream_connected - there is a connection.  s2s_stream_trust - a pair is proved: its limits count.
 * s2s_stream_opened - stanzas may come, and go. */
void s2s_stream_trust(struct s2s_stream *stream);
void s2s_stream_connected(struct s2s_stream *stream, const struct peer_origin *origin);
void s2s_stream_opened(struct s2s_stream *stream);

/* s2s_stream_enter - the stream belongs to the domain of that remote from now on. */
void s2s_stream_enter(struct s2s_stream *stream, struct remote *remote);

const char *s2s_stream_state_name(const struct s2s_stream *stream);
const char *s2s_proof_name(enum s2s_proof proof);

/* s2s_stream_tls - the version, and in *cipher the cipher; NULL: none. */
const char *s2s_stream_tls(const struct s2s_stream *stream, const char **cipher);

/* For s2s_in and s2s_out. */
struct s2s_stream *s2s_stream_new(struct shard *shard, bool outgoing);
void s2s_stream_free(struct s2s_stream *stream); /* what it has to tell is told */
struct s2s_stream *s2s_stream_of(void *arg);
void s2s_stream_log(const struct s2s_stream *stream, const char *event);
void s2s_stream_print_header(struct s2s_stream *stream, struct buf *out);
/* s2s_stream_set_lang - the language of the other side's header. */
void s2s_stream_set_lang(struct s2s_stream *stream, const struct elem *header);

#endif
