/* s2s_in - the side of a stream between servers that was connected to: headers, features, proofs.
 *
 * Source: RFC 6120 sections 4 to 6, XEP-0178 section 3, XEP-0220 section 2.2, XEP-0288. */
#ifndef POSTERN_BACKEND_S2S_IN_H
#define POSTERN_BACKEND_S2S_IN_H

#include "backend/s2s_stream.h"

/* s2s_in_begin - begin a stream on a shard with the connection of origin (any thread; takes the descriptor).  It is
 * counted in backend->streams already. */
void s2s_in_begin(struct shard *shard, const struct stream_origin *origin);

/* A stream that began as a client's, and whose header is one of jabber:server. All of it is taken. */
struct s2s_leaver {
    struct peer_origin origin;
    struct elem *header;
    struct buf held; /* what came behind it */
    struct terminated *terminated;
    bool secure, plain, newcomer; /* as in struct s2s_stream */
};

/* s2s_in_take_over - go on with such a connection, from the loop. */
void s2s_in_take_over(struct shard *shard, struct s2s_leaver *leaver);

/* For s2s_stream. */
void s2s_in_header(struct s2s_stream *stream, struct elem *header); /* taken */
void s2s_in_elem(struct s2s_stream *stream, struct elem *elem);     /* likewise; anything but a stanza on an open one */
void s2s_in_secure(struct s2s_stream *stream);

/* s2s_in_link - with XEP-0288: what other side has to say to stream management is said, so stanzas may go to it from
 * now on.  Does nothing when they may already, or never. */
void s2s_in_link(struct s2s_stream *stream);

/* s2s_in_result - <db:result/> that asks for a pair (borrowed), also on an outgoing stream with XEP-0288. */
void s2s_in_result(struct s2s_stream *stream, const struct elem *elem);

#endif
