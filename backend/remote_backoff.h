/* remote_backoff - how long to wait before a domain that could not be reached is tried again. */
#ifndef POSTERN_BACKEND_REMOTE_BACKOFF_H
#define POSTERN_BACKEND_REMOTE_BACKOFF_H

#include <stdint.h>

enum {
    REMOTE_BACKOFF_FIRST_MS = 5 * 1000,
    REMOTE_BACKOFF_LAST_MS = 30 * 60 * 1000, /* and as much again by chance: an hour at most */
};

/* remote_backoff_ms - after so many failures in a row (at least 1): from d to 2d, evenly by random, where d doubles
 * from first to last. */
int64_t remote_backoff_ms(unsigned failures, uint32_t random);

/* remote_backoff_random - for it; and one below limit. */
uint32_t remote_backoff_random(void);
int64_t remote_backoff_below(int64_t limit);

#endif
