/* peer_stream - the XML stream of a peer that is a program, a component or another server: connection, TLS, XML, ends.
 *
 * Its owner says what elements mean.  Source: RFC 6120 section 4. */
#ifndef POSTERN_BACKEND_PEER_STREAM_H
#define POSTERN_BACKEND_PEER_STREAM_H

#include "backend/elem.h"
#include "backend/end_reason.h"
#include "backend/stream.h"
#include "backend/xml.h"
#include "lib/addr.h"
#include "lib/buf.h"
#include "lib/io.h"
#include "lib/loop.h"

#include <stdbool.h>
#include <stddef.h>

struct shard;

enum peer_phase {
    PEER_SECURING, /* the TLS handshake runs */
    PEER_TAKING,   /* input is told as it comes */
    PEER_HOLDING,  /* it is held back */
    PEER_CLOSING,  /* our direction has ended */
    PEER_ENDED,
};

/* Any of them may end the stream.  After on_closing there is on_last_words, and on_end, which comes once, from the
 * loop, and after which the stream is gone. */
struct peer_events {
    void (*on_secure)(void *owner);
    void (*on_header)(void *owner, struct elem *header);   /* taken */
    void (*on_elem)(void *owner, struct elem *elem);       /* taken */
    void (*on_drained)(void *owner);                       /* all output is with the kernel; may be NULL */
    void (*print_header)(void *owner, struct buf *out);    /* ours, before an error when none was sent */
    void (*on_closing)(void *owner);                       /* nothing more can be sent; may come from inside a call */
    void (*on_last_words)(void *owner, struct elem *elem); /* taken; came after we had closed; may be NULL */
    void (*on_end)(void *owner);
};

/* Touched only on its shard. */
struct peer_stream {
    unsigned magic;
    enum peer_phase phase;
    enum end_reason end;
    const char *why; /* static text for the log: how the connection broke; NULL: nothing to say */
    struct shard *shard;
    const struct peer_events *events;
    void *owner;
    struct io *io;
    struct xml *xml;
    struct shard *bound_for; /* while it moves */
    void (*moved)(void *owner);
    struct buf held;
    struct loop_deferred deferred;
    bool header_sent;
    size_t unit_bytes; /* of what is being told: the element, and white space before it */
    size_t output_max; /* bytes that may wait for the peer */
    struct addr addr;
    char conn[STREAM_CONNECTION_ID_BYTES]; /* for the log */
    char id[2 * STREAM_ID_BYTES + 1];      /* of the stream; ours */
};

/* What a connection is at the beginning. */
struct peer_origin {
    int fd;          /* taken; connected and non-blocking */
    struct io *io;   /* taken, instead of fd: paused, owned by nobody else any more; NULL: none yet */
    struct xml *xml; /* likewise; NULL: none yet */
    struct addr addr;
    const char *conn; /* its name in the log */
};

/* peer_stream_new - HOLDING when it is given an io, else TAKING; counted in backend->streams by the caller already. */
struct peer_stream *peer_stream_new(struct shard *shard, const struct peer_origin *origin,
                                    const struct peer_events *events, void *owner);

/* peer_write - queue buf, and empty it.  A peer that does not read is closed.  peer_write_text - likewise a text. */
void peer_write(struct peer_stream *peer, struct buf *buf);
void peer_write_text(struct peer_stream *peer, const char *text);

/* peer_fail - tell a stream error, with our header first if it was not sent, and begin to close; text may be NULL. Does
 * nothing when it is closing already.  peer_close - answer or begin the end of the stream.  peer_abort - end it at the
 * end of this turn, without a word. */
void peer_fail(struct peer_stream *peer, enum end_reason end, const char *condition, const char *text);
/* peer_fail_with - likewise, with an application-specific condition, which is XML (RFC 6120 section 4.9.4). */
void peer_fail_with(struct peer_stream *peer, enum end_reason end, const char *condition, const char *xml);
void peer_close(struct peer_stream *peer, enum end_reason end);
void peer_abort(struct peer_stream *peer, enum end_reason end);

/* peer_hold, peer_go_on - hold input back, and take it again. */
void peer_hold(struct peer_stream *peer);
void peer_go_on(struct peer_stream *peer);

/* peer_secure - begin TLS as the server with ctx: a new header is expected then. */
void peer_secure(struct peer_stream *peer, SSL_CTX *ctx);
/* peer_secure_client - likewise as the client. */
void peer_secure_client(struct peer_stream *peer, SSL *ssl);

/* peer_restart - the next thing is a new header. */
void peer_restart(struct peer_stream *peer);
void peer_set_limits(struct peer_stream *peer, const struct xml_limits *limits);

/* peer_move - go over to another shard: moved(owner) is called there.  Input is held back until peer_go_on. */
void peer_move(struct peer_stream *peer, struct shard *to, void (*moved)(void *owner));

size_t peer_pending(const struct peer_stream *peer);

#endif
