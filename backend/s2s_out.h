/* s2s_out - the side of a stream between servers that connects: what it asks for, and how it proves who we are.
 *
 * Source: RFC 6120 sections 4 to 6, XEP-0178 section 3, XEP-0220 section 2.1, XEP-0288. */
#ifndef POSTERN_BACKEND_S2S_OUT_H
#define POSTERN_BACKEND_S2S_OUT_H

#include "backend/s2s_stream.h"

/* For s2s_stream. */
void s2s_out_header(struct s2s_stream *stream, struct elem *header); /* taken */
void s2s_out_elem(struct s2s_stream *stream, struct elem *elem); /* likewise; anything but a stanza on an open one */
void s2s_out_secure(struct s2s_stream *stream);

/* s2s_out_ended - its connection is over: try another way, or tell that it came to nothing.  true: it goes on. */
bool s2s_out_ended(struct s2s_stream *stream);

/* s2s_out_open - the first pair is proved and what was asked for besides is there: stanzas may go. */
void s2s_out_open(struct s2s_stream *stream);

/* s2s_out_suits - whether what local has for the other server may go on this outgoing stream: not if its own would go
 * another way, or if somebody learned by it that local's onion service is on the same server as other domains. */
bool s2s_out_suits(const struct s2s_stream *stream, const char *local);

/* s2s_out_pair_failed - a pair of ours came to nothing: tell, and free it.  s2s_out_tell_failed - all that are under
 * way.
 */
void s2s_out_pair_failed(struct s2s_pair *pair, enum s2s_failure failure, const char *why);
void s2s_out_tell_failed(struct s2s_stream *stream);

/* s2s_out_give_up - it comes to nothing: failure, and why (for a person, copied; NULL: nothing to add). */
void s2s_out_give_up(struct s2s_stream *stream, enum s2s_failure failure, const char *why);

#endif
