/* offload - threads for what would block a shard: password hashing.
 *
 * Whoever asks for much waits for himself: jobs are begun in turn for each source that asks, and a source may have a
 * bounded number of them waiting. */
#ifndef POSTERN_BACKEND_OFFLOAD_H
#define POSTERN_BACKEND_OFFLOAD_H

#include "lib/check.h"
#include "lib/mailbox.h"

#include <stdint.h>

struct offload;

/* Run work(arg) on a thread, then done(arg) on the mailbox's.  dropped(arg) is called there instead when the job will
 * not be begun: others had to come first, or the process ends. */
struct offload_job {
    uint64_t source; /* for whom: a hash; 0: the server itself */
    struct mailbox *reply_to;
    void (*work)(void *arg);
    mailbox_fn *done, *dropped;
    void *arg;
};

/* offload_new - threads (>= 1) that are started when the first job comes. */
struct offload *offload_new(unsigned threads);
/* offload_free - end the threads after the jobs they have begun; the others are dropped. */
void offload_free(struct offload **offload);

/* offload_post - queue a job (copied).  Returns 0, or -1 when too many jobs of that source wait, or too many in all and
 * none has as many as to be dropped in favour of this one (then nothing will be called). */
MUSTCHECK int offload_post(struct offload *offload, const struct offload_job *job);

#endif
