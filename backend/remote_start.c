#include "backend/remote_start.h"

#include "backend/remote.h"
#include "backend/remote_attempt.h"
#include "backend/remote_backoff.h"
#include "backend/remote_route.h"
#include "backend/shard.h"
#include "lib/log.h"

#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 1000, WAIT_EACH_MS = 20, WAIT_MAX_MS = 60 * 1000 };

/* The owner is the other domain, a space, and ours. */
static void found(struct backend *backend, const struct store_remote *row, int64_t wait_ms)
{
    const char *space = strchr(row->owner, ' ');
    if (!space) {
        log_msg(LOG_LEVEL_ERROR, "store_tampered", "a queue for other servers belongs to \"%s\"", row->owner);
        return;
    }
    char *domain = mem_strndup(row->owner, (size_t)(space - row->owner));
    struct remote *remote = remote_get(shard_of(backend, domain), domain);
    remote_attempt_found(remote_route_get(remote, space + 1), row->count, row->bytes, row->oldest_ms, wait_ms);
    free(domain);
}

static void log_found(const struct store_remote *rows, size_t count)
{
    uint64_t messages = 0;
    struct log_line line;
    for (size_t i = 0; i < count; i++)
        messages += rows[i].count;
    log_begin(&line, LOG_LEVEL_INFO, "s2s_waiting");
    log_uint(&line, "queues", count);
    log_uint(&line, "messages", messages);
    log_end(&line);
}

static void on_list(enum store_status status, const struct store_remote *rows, size_t count, void *arg)
{
    struct backend *backend = arg;
    const int64_t all_ms = WAIT_MS + (int64_t)count * WAIT_EACH_MS;
    if (status != STORE_OK) log_msg(LOG_LEVEL_ERROR, "store_error", "what waits for other servers cannot be read");
    if (count > 0) log_found(rows, count);
    for (size_t i = 0; i < count; i++)
        found(backend, &rows[i], remote_backoff_below(all_ms < WAIT_MAX_MS ? all_ms : WAIT_MAX_MS));
    loop_stop(backend->shards[0]->loop);
}

void remote_start(struct backend *backend)
{
    struct shard *first = backend->shards[0];
    store_remote_list(backend->store, first->mailbox, on_list, backend);
    loop_run(first->loop);
}
