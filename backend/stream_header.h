/* stream_header - the stream's start tags: the client's checked, ours written.
 *
 * Source: RFC 6120 section 4.7 to 4.9. */
#ifndef POSTERN_BACKEND_STREAM_HEADER_H
#define POSTERN_BACKEND_STREAM_HEADER_H

#include "backend/elem.h"
#include "lib/buf.h"

#include <stdbool.h>

struct stream;

/* RFC 6120 section 4.7.4: what we say is in English, whatever others would rather read. */
#define STREAM_HEADER_LANG "en"

/* stream_header_lang - the language that a header names (borrowed), or NULL. */
const char *stream_header_lang(const struct elem *header);

/* stream_header_check - read the client's header: the stream's host and language come from it.  NULL when it is right,
 * else the stream error condition, and *text (may come back NULL) for people. */
const char *stream_header_check(struct stream *stream, const struct elem *header, const char **text);

/* stream_header_is_of_server - whether another server has sent it, where it may. */
bool stream_header_is_of_server(const struct stream *stream);

/* stream_header_version - the major version that a header claims; 0: from before XMPP (RFC 6120 section 4.7.5). */
unsigned stream_header_version(const char *text);

/* stream_header_print - our own header, with a fresh id; client is the header that it answers, or NULL. */
void stream_header_print(struct stream *stream, const struct elem *client, struct buf *out);

#endif
