/* ejection - a server that keeps failing its clients is left alone for a while; shared by all workers.
 *
 * max-fails failures within fail-timeout eject it, for fail-timeout at first and twice as long each time it happens
 * again.  When that time is over, one connection tries it: if it succeeds the server is back, if not it is out for
 * longer.  Times are those of the monotonic clock, which is one for all processes. */
#ifndef POSTERN_GATEWAY_EJECTION_H
#define POSTERN_GATEWAY_EJECTION_H

#include "lib/check.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct ejection {
    _Atomic int64_t until_ms;  /* 0: in use; even: out until then; odd: a trial is under way, decided by then or void */
    _Atomic int64_t window_ms; /* when the window began */
    _Atomic uint32_t fails;    /* in the window */
    _Atomic uint32_t times;    /* ejected so often in a row */
};

struct ejection_rules {
    uint32_t max_fails; /* 0: never */
    int64_t fail_timeout_ms, max_ms;
};

enum ejection_state {
    EJECTION_NONE, /* in use */
    EJECTION_OUT,  /* to be left alone */
    EJECTION_DUE,  /* one connection may try it: ejection_try */
};

enum ejection_state ejection_state(const struct ejection *ejection, int64_t now_ms);

/* ejection_try - ask to be the one that tries a server that is due.  True: the caller connects to it now, and says how
 * it went; nobody else will within trial_ms. */
MUSTCHECK bool ejection_try(struct ejection *ejection, int64_t now_ms, int64_t trial_ms);

/* ejection_failed - a connection could not be made.  Returns for how many ms the server is out from now on, or 0 if
 * this changed nothing. */
int64_t ejection_failed(struct ejection *ejection, const struct ejection_rules *rules, int64_t now_ms);

/* ejection_worked - a connection was made.  Returns whether the server was out and is back. */
bool ejection_worked(struct ejection *ejection);

#endif
