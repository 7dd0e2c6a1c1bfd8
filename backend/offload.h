/* offload - threads for what would block a shard: password hashing. */
#ifndef POSTERN_BACKEND_OFFLOAD_H
#define POSTERN_BACKEND_OFFLOAD_H

#include "lib/check.h"
#include "lib/mailbox.h"

struct offload;

/* offload_new - threads (>= 1) that are started when the first job comes. */
struct offload *offload_new(unsigned threads);
/* offload_free - end the threads after the jobs they have begun.  Of a job not begun only done is called, so that its
 * arg is not lost: by then nobody may want its result any more. */
void offload_free(struct offload **offload);

/* offload_post - run work(arg) on a thread, then done(arg) on the mailbox's.  Returns 0, or -1 when too many jobs wait
 * (then nothing will be called). */
MUSTCHECK int offload_post(struct offload *offload, struct mailbox *reply_to, void (*work)(void *arg), mailbox_fn *done,
                           void *arg);

#endif
