/* s2s_gauges - how many streams to other servers there are now, and how much waits for them. */
#ifndef POSTERN_BACKEND_S2S_GAUGES_H
#define POSTERN_BACKEND_S2S_GAUGES_H

#include <stdint.h>

struct shard;

struct s2s_gauges {
    uint64_t in, out; /* streams that are open */
    uint64_t queued, queued_bytes;
    uint64_t failing; /* domains that could not be reached when it was last tried */
};

/* s2s_gauges_add - those of one shard, on its thread. */
void s2s_gauges_add(struct shard *shard, struct s2s_gauges *gauges);

#endif
