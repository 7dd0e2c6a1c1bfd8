/* stream_log - the log lines of a stream. */
#ifndef POSTERN_BACKEND_STREAM_LOG_H
#define POSTERN_BACKEND_STREAM_LOG_H

#include <stdint.h>

struct stream;

/* stream_log_state - level debug: the stream leaves its state for the one named next. */
void stream_log_state(const struct stream *stream, const char *next);

/* stream_log_refused - an attempt at authentication failed with a SASL condition: for those who count attempts by
 * address.  cause: what is behind it; account: the local part of whom the client wanted to be; either may be NULL. */
void stream_log_refused(const struct stream *stream, const char *condition, const char *cause, const char *account,
                        int64_t delayed_ms);

/* stream_log_locked - with that failure an account, or the source (account NULL), is locked. */
void stream_log_locked(const struct stream *stream, const char *account);

/* stream_log_certificate - the client gave a certificate that is not trusted, and why. */
void stream_log_certificate(const struct stream *stream, const char *why);

/* stream_log_bound, stream_log_end - a session has begun; the one line of a stream, at its end. */
void stream_log_resumed(const struct stream *stream);
void stream_log_bound(const struct stream *stream);
void stream_log_end(const struct stream *stream);

#endif
