/* shaper - how long somebody must wait who does more of something than a rate allows.
 *
 * The generic cell rate algorithm: all that was done has moved the time at which it will have been paid off.  So much
 * as the rate allows in SHAPER_BURST_S seconds may come at once. */
#ifndef POSTERN_BACKEND_SHAPER_H
#define POSTERN_BACKEND_SHAPER_H

#include <stdint.h>

enum { SHAPER_BURST_S = 5 };

/* Zeroed: nothing was done yet. */
struct shaper {
    int64_t paid_us; /* by the clock of now_ms: when all is paid off */
};

/* shaper_charge - amount more was done, of which rate (0: any) are allowed in a second.  Returns how many ms to wait
 * before the next; 0: none. */
int64_t shaper_charge(struct shaper *shaper, int64_t rate, uint64_t amount, int64_t now_ms);

#endif
