/* backend - what all shards of the process share: set up before the first shard runs, then only read. */
#ifndef POSTERN_BACKEND_BACKEND_H
#define POSTERN_BACKEND_BACKEND_H

#include "backend/end_reason.h"
#include "backend/offload.h"
#include "backend/store.h"
#include "lib/counter.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct backend_config;
struct backend_reload;
struct key_shapes;
struct lockout;
struct newcomers;
struct registrations;
struct dns;
struct shard;

enum { BACKEND_SECRET_BYTES = 32, BACKEND_SLOW_SLOTS = 256 };

struct backend {
    const struct backend_config *config; /* as at the start; see shard_config */
    struct counters *counter_set;
    counter_cell *counters;
    struct store *store;
    struct offload *offload;
    struct backend_reload *reload; /* NULL when the server runs for one command only */
    struct lockout *lockout;
    struct registrations *registrations;
    struct key_shapes *key_shapes;
    struct newcomers *newcomers;
    struct dns *dns;                      /* NULL when the server runs for one command only */
    uint8_t secret[BACKEND_SECRET_BYTES]; /* of this server, for SASL's answers about unknown accounts */
    struct shard **shards;                /* shard 0 runs on the main thread */
    unsigned shard_count;
    size_t descriptor_limit;
    int64_t started_s; /* by the monotonic clock */

    /* These change while the shards run. */
    _Atomic uint32_t slow_routes[BACKEND_SLOW_SLOTS]; /* see remote_is_slow */
    _Atomic uint64_t streams;                         /* alive, in whatever state */
    _Atomic uint64_t sessions;                        /* bound */
    atomic_bool stopping;
    atomic_uint shards_stopped; /* whose clients and components have been told */
    atomic_bool restart;        /* it is to be started again */
};

static inline bool backend_is_stopping(struct backend *backend)
{
    return atomic_load(&backend->stopping);
}

#endif
