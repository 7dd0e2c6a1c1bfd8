/* c2s - what a client does from its first header to its stanzas: STARTTLS, features, resource binding.
 *
 * These are steps of the table in stream.c: each takes the element and returns the state that comes next.  Source:
 * RFC 6120 sections 5 and 7. */
#ifndef POSTERN_BACKEND_C2S_H
#define POSTERN_BACKEND_C2S_H

#include "backend/stream.h"

enum stream_state c2s_open(struct stream *stream, struct elem *header);
enum stream_state c2s_before_tls(struct stream *stream, struct elem *elem);
enum stream_state c2s_bind(struct stream *stream, struct elem *elem);
enum stream_state c2s_stanza(struct stream *stream, struct elem *elem);

/* c2s_last_words - an element (taken) that came after we have closed a bound stream.  A message is still delivered when
 * the client has done no wrong: it may have been on its way (RFC 6120 section 4.4). */
void c2s_last_words(struct stream *stream, struct elem *elem);

/* c2s_misplaced - end the stream for an element (taken) that has no place before a resource is bound. */
enum stream_state c2s_misplaced(struct stream *stream, struct elem *elem);

#endif
