#include "backend/admission.h"

#include "backend/backend_config.h"
#include "backend/shard.h"
#include "backend/terminated.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    RESERVED_DESCRIPTORS = 64, /* loops, the store, sockets, logs, new messages at the inlet */
    KEEPALIVE_IDLE_S = 300,
    KEEPALIVE_INTERVAL_S = 30,
    KEEPALIVE_COUNT = 4
};

bool admission_has_room(const struct backend *backend)
{
    const size_t reserved = RESERVED_DESCRIPTORS + 4U * backend->shard_count;
    return atomic_load(&backend->streams) + reserved < backend->descriptor_limit;
}

/* Called on shard 0 only, hence no lock. */
void admission_name(struct stream_origin *origin)
{
    static uint32_t boot;
    static uint64_t count;
    while (boot == 0)
        CHECK(RAND_bytes((uint8_t *)&boot, sizeof(boot)) == 1);
    snprintf(origin->id, sizeof(origin->id), "b%08" PRIx32 "-%" PRIu64, boot, ++count);
}

/* A client that vanished without a word is noticed after some minutes. */
static void keep_alive(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {{SOL_SOCKET, SO_KEEPALIVE, 1},
                   {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
                   {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
                   {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT}};
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

void admission_take(struct backend *backend, const struct stream_origin *origin)
{
    static unsigned turn;
    if (backend_is_stopping(backend) ||
        atomic_load(&backend->streams) >= (uint64_t)shard_config(backend->shards[0])->max_connections) {
        counter_add(backend->counters, COUNTER_OVERLOAD, 1);
        struct terminated *terminated = origin->terminated;
        terminated_free(&terminated);
        close(origin->fd);
        return;
    }
    atomic_fetch_add(&backend->streams, 1);
    keep_alive(origin->fd);
    stream_begin(backend->shards[turn++ % backend->shard_count], origin);
}
