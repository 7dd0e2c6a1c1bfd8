#include "backend/archive_retention.h"

#include "backend/host.h"
#include "backend/shard.h"
#include "lib/log.h"

#include <stdlib.h>
#include <time.h>

/* Not more often than the first; another configuration is in force after the second. */
static const int64_t AGAIN_MIN_MS = INT64_C(3600) * 1000, AGAIN_MAX_MS = INT64_C(24) * 3600 * 1000;

struct archive_retention {
    struct backend *backend;
    struct deadline_queue *queue;
    struct deadline deadline;
    int64_t next_ms; /* until something is due; 0: nothing will be */
    size_t waiting;  /* for the store, on account of so many hosts */
};

struct host_pass {
    struct archive_retention *retention;
    int64_t expire_ms;
};

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void arm(struct archive_retention *retention, int64_t wait_ms)
{
    deadline_queue_set_timeout(retention->queue, wait_ms);
    deadline_arm(retention->queue, &retention->deadline);
}

/* Something new may soon be too much; what is old is due by itself. */
static void on_archived(void *arg)
{
    arm(arg, AGAIN_MIN_MS);
}

static void finish(struct archive_retention *retention)
{
    if (retention->next_ms > 0) arm(retention, retention->next_ms);
    store_archive_watch(retention->backend->store, retention->backend->shards[0]->mailbox, on_archived, retention);
}

/* note_oldest - when the oldest entry that is left is due. */
static void note_oldest(struct archive_retention *retention, int64_t expire_ms, uint64_t id)
{
    int64_t wait_ms = AGAIN_MAX_MS;

    if (id == 0) return;
    if (expire_ms > 0 && ((int64_t)id - now_us()) / 1000 + expire_ms < wait_ms)
        wait_ms = ((int64_t)id - now_us()) / 1000 + expire_ms;
    if (wait_ms < AGAIN_MIN_MS) wait_ms = AGAIN_MIN_MS;
    if (retention->next_ms == 0 || wait_ms < retention->next_ms) retention->next_ms = wait_ms;
}

static void on_trimmed(enum store_status status, const struct store_archive_purged *purged, void *arg)
{
    struct host_pass *pass = arg;
    struct archive_retention *retention = pass->retention;
    struct log_line line;

    if (purged) {
        note_oldest(retention, pass->expire_ms, purged->first);
        counter_add(retention->backend->counters, COUNTER_ARCHIVE_PURGED, purged->entries);
    } else {
        log_msg(LOG_LEVEL_ERROR, "archive_retention", "archives could not be cleared of what is too old (%d)", status);
        note_oldest(retention, 0, 1);
    }
    if (purged && purged->entries > 0) {
        log_begin(&line, LOG_LEVEL_INFO, "archive_purged");
        log_uint(&line, "messages", purged->entries);
        log_uint(&line, "bytes", purged->bytes);
        log_end(&line);
    }
    free(pass);
    if (--retention->waiting == 0) finish(retention);
}

static void trim_host(const struct host *host, void *arg)
{
    struct archive_retention *retention = arg;
    const int64_t oldest_us = now_us() - host->archive_expire_ms * 1000;
    const struct store_archive_keep keep = {.from =
                                                host->archive_expire_ms > 0 && oldest_us > 0 ? (uint64_t)oldest_us : 0,
                                            .entries = host->archive_messages,
                                            .bytes = host->archive_bytes};
    if (host->archive_expire_ms == 0 && keep.entries == 0 && keep.bytes == 0) return;
    struct host_pass *pass = MEM_NEW(struct host_pass);
    *pass = (struct host_pass){.retention = retention, .expire_ms = host->archive_expire_ms};
    retention->waiting++;
    store_archive_trim(retention->backend->store, retention->backend->shards[0]->mailbox, host->domain, &keep,
                       on_trimmed, pass);
}

static void look(struct archive_retention *retention)
{
    retention->next_ms = 0;
    retention->waiting = 1;
    hosts_each(shard_hosts(retention->backend->shards[0]), trim_host, retention);
    if (--retention->waiting == 0) finish(retention);
}

static void on_due(struct deadline *deadline, void *arg)
{
    struct archive_retention *retention = arg;

    (void)deadline;
    /* A pass that still goes on ends by setting the time of the next. */
    if (retention->waiting == 0) look(retention);
}

struct archive_retention *archive_retention_new(struct backend *backend)
{
    struct archive_retention *retention = MEM_NEW(struct archive_retention);

    retention->backend = backend;
    retention->queue = deadline_queue_new(backend->shards[0]->loop, AGAIN_MIN_MS, on_due, retention);
    look(retention);
    return retention;
}

void archive_retention_free(struct archive_retention **retention)
{
    if (!*retention) return;
    deadline_disarm(&(*retention)->deadline);
    deadline_queue_free(&(*retention)->queue);
    free(*retention);
    *retention = NULL;
}
