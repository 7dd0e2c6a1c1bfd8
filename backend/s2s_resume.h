/* s2s_resume - the resumption of streams between servers, on either side.
 *
 * A broken stream waits as its struct s2s_sm, for a bounded time and in bounded number.  It is resumed by a stream of
 * the same pair of domains only, proved no worse; every pair that was proved on it goes over to the new stream. Source:
 * XEP-0198 section 5. */
#ifndef POSTERN_BACKEND_S2S_RESUME_H
#define POSTERN_BACKEND_S2S_RESUME_H

#include "backend/elem.h"
#include "backend/s2s_sm.h"
#include "lib/check.h"

#include <stdbool.h>

/* s2s_resume_wait - the stream ends: have its sm wait for another one.  false: it may not. */
MUSTCHECK bool s2s_resume_wait(struct s2s_stream *stream);

/* s2s_resume_wait_on - the stream that was about to resume sm has ended before. */
void s2s_resume_wait_on(struct s2s_sm *sm);

/* s2s_resume_try - out: ask to resume what waits for that stream's pair.  false: nothing does. */
MUSTCHECK bool s2s_resume_try(struct s2s_stream *stream);

/* s2s_resume_granted, s2s_resume_refused - out: the answer.  After a refusal stream->sm is NULL. */
void s2s_resume_granted(struct s2s_stream *stream, const struct elem *resumed);
void s2s_resume_refused(struct s2s_stream *stream, const struct elem *failed);

/* s2s_resume_request - in: <resume/>. */
void s2s_resume_request(struct s2s_stream *stream, const struct elem *elem);

/* s2s_resume_settled - all that came on the stream that is being resumed is settled. */
void s2s_resume_settled(struct s2s_sm *sm);

/* s2s_resume_waits - whether a stream that carried stanzas of local to the remote's domain, and may owe some, waits for
 * us (ours) or the other server to resume it. */
bool s2s_resume_waits(const struct remote *remote, const char *local, bool ours);

/* s2s_resume_spend - stanzas of local go to the remote's domain on a stream of their own from now on: what waits to be
 * resumed sends none of its own any more. */
void s2s_resume_spend(struct remote *remote, const char *local);

#endif
