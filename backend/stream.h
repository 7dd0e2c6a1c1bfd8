/* stream - one client's XML stream: its states, its input and output, its end.
 *
 * The states are one table in stream.c; a step takes a first-level element and returns the state that comes next, and
 * only the driver changes the state.  What the elements mean is in c2s and sasl_exchange.  Source: RFC 6120 section 4.
 */
#ifndef POSTERN_BACKEND_STREAM_H
#define POSTERN_BACKEND_STREAM_H

#include "backend/elem.h"
#include "backend/end_reason.h"
#include "backend/jid.h"
#include "backend/shaper.h"
#include "backend/xml.h"
#include "lib/addr.h"
#include "lib/buf.h"
#include "lib/io.h"
#include "lib/list.h"
#include "lib/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct host;
struct sasl_exchange;
struct session;
struct shard;
struct terminated;
struct user;

enum {
    STREAM_ID_BYTES = 16,            /* random bytes; twice as many characters */
    STREAM_LINGER_MS = 3000,         /* for the client's end after ours */
    STREAM_LAST_LINGER_MS = 500,     /* for its FIN, when that did not come */
    STREAM_SLOW_LINGER_MS = 10000,   /* for a slow reader to read why it was closed */
    STREAM_CONNECTION_ID_BYTES = 64, /* with its NUL */
    STREAM_MECHANISM_BYTES = 24,     /* likewise */
};

enum stream_state {
    STREAM_SECURING,  /* the TLS handshake runs */
    STREAM_OPENING,   /* a stream header is expected */
    STREAM_PLAIN,     /* STARTTLS is expected, and nothing else allowed */
    STREAM_SASL,      /* authentication is expected */
    STREAM_SASL_WAIT, /* the mechanism is computing: input is held back */
    STREAM_MOVING,    /* on the way to the user's shard: input is held back */
    STREAM_LOADING,   /* the user is being read from the store: likewise */
    STREAM_BINDING,   /* authenticated; resource binding is expected */
    STREAM_RESUMING,  /* what the session to be resumed has sent is being made safe: likewise */
    STREAM_BOUND,     /* stanzas */
    STREAM_PAUSED,    /* likewise, but it or those it sends to have too much to do: input is held back for some time */
    STREAM_CLOSING,   /* our direction has ended or is about to: input is dropped, or searched for the client's end */
    STREAM_ENDED,
};

/* Where a connection comes from. */
struct stream_origin {
    int fd;
    bool direct_tls;
    struct addr peer;
    char id[STREAM_CONNECTION_ID_BYTES]; /* names the connection in the logs of gateway and backend */
    const char *sni;                     /* what a gateway has seen (borrowed); NULL: nothing */
    struct terminated *terminated;       /* the gateway has terminated the client's TLS; NULL: it has not */
    bool newcomer;                       /* counted in backend->newcomers */
    bool server;                         /* another server: see s2s_in */
    bool servers_too;                    /* its header may be one of jabber:server */
    bool plain;                          /* of a listener without TLS, for those who come by Tor */
};

/* Touched only on its shard; between io_detach and io_attach only by the move.  Invariants: user != NULL from arrival
 * on the user's shard to the end; session != NULL from BOUND to the end; held is not empty only in states that hold
 * input. */
struct stream {
    unsigned magic;
    enum stream_state state;
    enum end_reason end;        /* why it ends: from CLOSING on */
    enum stream_state ended_in; /* the state before CLOSING */
    struct list link;           /* shard->streams */
    struct shard *shard;
    int fd; /* io's, once there is one */
    struct io *io;
    struct xml *xml;
    struct buf held;
    struct deadline deadline; /* of auth-timeout; once bound, of a ping or a pause; closing, of the client's end */
    struct loop_deferred deferred;
    bool header_sent, secure;       /* secure: the client is behind TLS, ours or the gateway's */
    bool plain;                     /* it may do without, as the configuration says in so many words */
    struct terminated *terminated;  /* by the gateway; NULL: not by it */
    const struct host *host;        /* by stream header; before it by SNI, or the first one; host_point */
    struct sasl_exchange *exchange; /* from TLS to success */
    struct jid *bare;               /* who authenticated */
    struct user *user;
    struct list user_link; /* user->streams */
    struct session *session;
    struct session *resumes; /* while RESUMING */
    char *lang;              /* of the client's header; NULL: none */
    char *sni;
    const char *binding; /* static text: the type of the channel binding it logged in with; NULL: none */
    const char *why;     /* static text for the log: how the connection broke; NULL: nothing to say */
    struct elem *leaves; /* MOVING, to s2s_in: its header; NULL: not so */
    bool servers_too;    /* see struct stream_origin */
    bool guest;          /* authenticated without an account (SASL ANONYMOUS) */
    unsigned refusals;   /* attempts to authenticate without TLS */
    bool newcomer;       /* counted in backend->newcomers: it has not logged in */
    bool unlimited;      /* an admin's: no rates */
    bool too_slow;       /* more than output-limit waits for it */
    bool listening;      /* CLOSING, and the client may still have something to say */
    struct shaper stanza_shaper, byte_shaper;
    int64_t resume_ms; /* PAUSED: not before */
    int64_t begun_ms, auth_begun_ms;
    struct addr peer;
    char id[STREAM_CONNECTION_ID_BYTES];
    char mechanism[STREAM_MECHANISM_BYTES];
};

/* stream_begin - begin a stream on a shard (any thread; takes the descriptor and terminated).  It is counted in
 * backend->streams already. */
void stream_begin(struct shard *shard, const struct stream_origin *origin);

/* stream_random_id - an unpredictable id into out (2 * STREAM_ID_BYTES + 1 bytes). */
void stream_random_id(char out[2 * STREAM_ID_BYTES + 1]);

/* stream_write - queue text; a client that lets more than output-limit of it lie is told so, and closed. */
void stream_write(struct stream *stream, const char *text);
void stream_write_data(struct stream *stream, const void *data, size_t len);
void stream_write_buf(struct stream *stream, struct buf *buf); /* and empty buf */
/* stream_send_elem - queue an element as it stands in a stream of jabber:client. */
void stream_send_elem(struct stream *stream, const struct elem *elem);

/* stream_redirect - tell the client where else to go (see-other-host, RFC 6120 section 4.9.3.19); else as stream_fail.
 */
enum stream_state stream_redirect(struct stream *stream, const char *where);

/* stream_fail - tell the client a stream error (RFC 6120 section 4.9.3; text may be NULL), with our header first if it
 * has not been sent, and begin to close.  Returns STREAM_CLOSING, so that a step can end with it.  Does nothing to a
 * stream that is closing already. */
enum stream_state stream_fail(struct stream *stream, enum end_reason end, const char *condition, const char *text);

/* stream_fail_with - the same with an application-specific condition, which is XML (RFC 6120 section 4.9.4). */
enum stream_state stream_fail_with(struct stream *stream, enum end_reason end, const char *condition, const char *xml);

/* stream_close - answer </stream:stream> and begin to close. */
enum stream_state stream_close(struct stream *stream, enum end_reason end);

/* stream_abort - close the connection at the end of this turn, without a word. */
void stream_abort(struct stream *stream, enum end_reason end);

/* stream_advance - from outside of a step: the waiting is over, go on in state next with the input held back. */
void stream_advance(struct stream *stream, enum stream_state next);

/* stream_secure - from a step: begin TLS; the rest of the input is dropped.  Returns STREAM_SECURING. */
enum stream_state stream_secure(struct stream *stream);

/* stream_restart - the next thing is a new header, under the limits of authenticated streams. */
void stream_restart(struct stream *stream);

/* stream_follow_hosts - the shard has other hosts now: go over to them, or tell the client that its host is gone (RFC
 * 6120 section 4.9.3.4). */
void stream_follow_hosts(struct stream *stream);

/* stream_leave - from a step: it is a stream of another server, as its header (taken) says.  Returns the state that
 * comes next. */
enum stream_state stream_leave(struct stream *stream, struct elem *header);

/* stream_settle - from a step: the stream is authenticated as stream->bare: make it its user's, on the user's shard.
 * Returns the state that comes next. */
enum stream_state stream_settle(struct stream *stream);

/* stream_user_ready - the user that a LOADING stream waits for is there; ok false: the store failed.  Others do not
 * mind. */
void stream_user_ready(struct stream *stream, bool ok);

/* stream_pending - bytes that are queued and not yet taken by the kernel. */
size_t stream_pending(const struct stream *stream);

const char *stream_lang(const struct stream *stream);
const char *stream_state_name(const struct stream *stream);
/* stream_end_state_name - the state in which its end was decided. */
const char *stream_end_state_name(const struct stream *stream);

/* stream_on_hurry, stream_on_farewell_over - auth-timeout is over; the client has not answered our end: for the shard's
 * deadline queues. */
void stream_on_hurry(struct deadline *deadline, void *shard);
void stream_on_farewell_over(struct deadline *deadline, void *shard);

#endif
