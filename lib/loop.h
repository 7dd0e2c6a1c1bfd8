/* loop - one event loop: a libevent base, work deferred to the end of the turn, and cheap deadlines. */
#ifndef POSTERN_LIB_LOOP_H
#define POSTERN_LIB_LOOP_H

#include "lib/check.h"
#include "lib/list.h"

#include <stdint.h>

struct event_base;
struct loop;

/* loop_new - a loop for the calling thread (epoll).  Never NULL. */
struct loop *loop_new(void);

/* loop_free - events, queues and mailboxes on it are freed before.  A forked child calls event_reinit before
 * it touches what it inherited: until then it shares its parent's epoll set. */
void loop_free(struct loop **loop);
struct event_base *loop_base(struct loop *loop);

/* loop_run - turn until loop_stop; runs deferred work at the end of each turn.  A stop from before it counts. */
void loop_run(struct loop *loop);

/* loop_stop - end loop_run after this turn; only from the loop's own thread. */
void loop_stop(struct loop *loop);

/* loop_now_ms - monotonic milliseconds, read once for each turn. */
int64_t loop_now_ms(struct loop *loop);

/* Work for the end of the turn.  The struct lives in its owner and is zeroed before first use. */
struct loop_deferred {
    struct list link;
    void (*fn)(void *arg);
    void *arg;
};

/* loop_defer - run d->fn(d->arg) once at the end of this turn; a second call before that changes nothing.  What is
 * deferred by deferred work runs in the same turn, some rounds deep; after that, events come between. */
void loop_defer(struct loop *loop, struct loop_deferred *d);
void loop_defer_cancel(struct loop_deferred *d);

/* loop_defer_free - free() a block at the end of the turn, when no callback can still hold it. */
void loop_defer_free(struct loop *loop, void *block);

/* loop_on_signal - call fn(signo, arg) from the loop.  At most one handler for a signal. */
void loop_on_signal(struct loop *loop, int signo, void (*fn)(int signo, void *arg), void *arg);

/* loop_local - what a module keeps for each loop: made by make(loop) with the first call, ended by end with the loop,
 * before the loop itself. */
void *loop_local(struct loop *loop, void *(*make)(struct loop *loop), void (*end)(void *value));

/* A deadline queue: all its members have the same timeout, so the list is sorted by itself, arming and disarming are
 * O(1) and one timer serves all.  An empty queue has no timer: an idle process does not wake up. */
struct deadline_queue;

struct deadline {
    struct list link;
    int64_t expires_ms;
};

typedef void deadline_fn(struct deadline *d, void *arg);

/* deadline_queue_new - fn is called for each member whose time is over, after it was taken out of the queue;
 * it may arm, disarm and free any member, and free the queue. */
struct deadline_queue *deadline_queue_new(struct loop *loop, int64_t timeout_ms, deadline_fn *fn, void *arg);
void deadline_queue_free(struct deadline_queue **queue);

/* deadline_queue_set_timeout - another timeout for what is armed from now on; what is armed already keeps its time, and
 * what comes behind it is not called before it. */
void deadline_queue_set_timeout(struct deadline_queue *queue, int64_t timeout_ms);

/* deadline_arm - (re)start the time of d, moving it to the end of the queue. */
void deadline_arm(struct deadline_queue *queue, struct deadline *d);
void deadline_disarm(struct deadline *d);

/* deadline_first - the member that was armed before all others; NULL: there is none. */
struct deadline *deadline_first(const struct deadline_queue *queue);

#endif
