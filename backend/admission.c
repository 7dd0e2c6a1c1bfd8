#include "backend/admission.h"

#include "backend/backend_config.h"
#include "backend/newcomers.h"
#include "backend/s2s_in.h"
#include "backend/shard.h"
#include "backend/terminated.h"
#include "lib/option.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    RESERVED_DESCRIPTORS = 64, /* loops, the store, sockets, logs, new messages at the inlet */
    KEEPALIVE_INTERVAL_S = 30,
    KEEPALIVE_COUNT = 4
};

bool admission_has_room(const struct backend *backend)
{
    const size_t reserved = RESERVED_DESCRIPTORS + 4U * backend->shard_count;
    return atomic_load(&backend->streams) + reserved < backend->descriptor_limit;
}

void admission_name(struct stream_origin *origin)
{
    static atomic_uint_least32_t boot;
    static atomic_uint_least64_t count;
    uint_least32_t mark = atomic_load(&boot), drawn = 0;
    while (mark == 0) {
        CHECK(RAND_bytes((uint8_t *)&drawn, sizeof(drawn)) == 1);
        mark = atomic_compare_exchange_strong(&boot, &mark, drawn) ? drawn : mark;
    }
    snprintf(origin->id, sizeof(origin->id), "b%08" PRIxLEAST32 "-%" PRIuLEAST64, mark,
             atomic_fetch_add(&count, 1) + 1);
}

/* A client that vanished without a word is noticed after some minutes: it does not answer when TCP asks, or does not
 * acknowledge what was sent to it. */
void admission_keep_alive(const struct backend_config *config, int fd)
{
    const int64_t idle_ms = option_int(option_top(config->file), "tcp-keepalive");
    const int idle_s = (int)(idle_ms / 1000);
    const struct {
        int level, name, value;
    } options[] = {{SOL_SOCKET, SO_KEEPALIVE, 1},
                   {IPPROTO_TCP, TCP_KEEPIDLE, idle_s},
                   {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
                   {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT},
                   {IPPROTO_TCP, TCP_USER_TIMEOUT, (idle_s + KEEPALIVE_INTERVAL_S * KEEPALIVE_COUNT) * 1000}};
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

static void turn_away(struct backend *backend, const struct stream_origin *origin, enum backend_counter reason)
{
    struct terminated *terminated = origin->terminated;
    counter_add(backend->counters, reason, 1);
    terminated_free(&terminated);
    close(origin->fd);
}

void admission_take(struct backend *backend, struct stream_origin *origin)
{
    static unsigned turn;
    const struct backend_config *config = shard_config(backend->shards[0]);
    const struct option_section *top = option_top(config->file);
    if (backend_is_stopping(backend) || atomic_load(&backend->streams) >= (uint64_t)config->max_connections) {
        turn_away(backend, origin, COUNTER_OVERLOAD);
        return;
    }
    origin->newcomer =
        newcomers_enter(backend->newcomers, &origin->peer, (unsigned)option_int(top, "streams-per-source"));
    if (!origin->newcomer) {
        turn_away(backend, origin, COUNTER_CROWDED_SOURCE);
        return;
    }
    atomic_fetch_add(&backend->streams, 1);
    admission_keep_alive(config, origin->fd);
    struct shard *shard = backend->shards[turn++ % backend->shard_count];
    if (origin->server) {
        s2s_in_begin(shard, origin);
    } else {
        stream_begin(shard, origin);
    }
}
