#include "backend/shaper.h"

enum { US_PER_MS = 1000, US_PER_S = 1000000 };

int64_t shaper_charge(struct shaper *shaper, int64_t rate, uint64_t amount, int64_t now_ms)
{
    if (rate <= 0) return 0;
    const int64_t now_us = now_ms * US_PER_MS;
    const int64_t earliest = now_us - (int64_t)SHAPER_BURST_S * US_PER_S;
    if (shaper->paid_us < earliest) shaper->paid_us = earliest;
    shaper->paid_us += (int64_t)(amount * US_PER_S / (uint64_t)rate);
    return shaper->paid_us > now_us ? (shaper->paid_us - now_us + US_PER_MS - 1) / US_PER_MS : 0;
}
