/* remote_attempt - when a route that is not live gets a stream: at once, later, or never again.
 *
 * By itself as long as there is a reason, which is something that waits: after longer and longer times
 * (remote_backoff).  Else when somebody sends. */
#ifndef POSTERN_BACKEND_REMOTE_ATTEMPT_H
#define POSTERN_BACKEND_REMOTE_ATTEMPT_H

#include <stdbool.h>
#include <stdint.h>

struct remote_route;

/* remote_attempt_begin - have a stream set up now, unless there is one. */
void remote_attempt_begin(struct remote_route *route);

/* remote_attempt_hurry - the domain is said to be there again: try as soon as may be. */
void remote_attempt_hurry(struct remote_route *route);

/* remote_attempt_found - the store has rows of it, from before the start: first in wait_ms. */
void remote_attempt_found(struct remote_route *route, uint64_t rows, uint64_t bytes, int64_t oldest_ms,
                          int64_t wait_ms);

/* remote_attempt_follow - the hosts have changed: what is not allowed any more fails, what is now is tried. */
void remote_attempt_follow(struct remote_route *route);

/* remote_attempt_back_off - none before wait_ms are over. */
void remote_attempt_back_off(struct remote_route *route, int64_t wait_ms);

/* remote_attempt_schedule - set the timer of a route that is down, by retry_ms, wake_ms and its queue.
 * remote_attempt_stop - stop it.  remote_attempt_forget - idle again: nothing is to be done any more. */
void remote_attempt_schedule(struct remote_route *route);
void remote_attempt_stop(struct remote_route *route);
void remote_attempt_forget(struct remote_route *route);

/* remote_attempt_has_reason - whether it is worth one of our own, without anybody who sends. */
bool remote_attempt_has_reason(const struct remote_route *route);

#endif
