#include "backend/remote_backoff.h"

#include "lib/check.h"

#include <openssl/rand.h>

int64_t remote_backoff_ms(unsigned failures, uint32_t random)
{
    int64_t wait_ms = REMOTE_BACKOFF_FIRST_MS;
    for (unsigned i = 1; i < failures && wait_ms < REMOTE_BACKOFF_LAST_MS; i++)
        wait_ms *= 2;
    if (wait_ms > REMOTE_BACKOFF_LAST_MS) wait_ms = REMOTE_BACKOFF_LAST_MS;
    return wait_ms + (int64_t)((uint64_t)wait_ms * random >> 32);
}

uint32_t remote_backoff_random(void)
{
    uint32_t random;
    CHECK(RAND_bytes((uint8_t *)&random, sizeof(random)) == 1);
    return random;
}

int64_t remote_backoff_below(int64_t limit)
{
    return (int64_t)((uint64_t)limit * remote_backoff_random() >> 32);
}
