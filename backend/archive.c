#include "backend/archive.h"

#include "backend/archive_policy.h"
#include "backend/archive_prefs.h"
#include "backend/host.h"
#include "backend/shard.h"
#include "backend/stanza_id.h"
#include "backend/store.h"
#include "backend/user.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    COPIES_FIRST = 16,
    COPIES_MAX = 256,             /* of a batch, then it is given to the store */
    BYTES_MAX = 256 * 1024,       /* likewise */
    BACKLOG_MAX = 4 * 1024 * 1024 /* of the shard: its clients pause, as for router_deliver */
};

/* Copies on their way to the store; what they point to is in the arena. */
struct archive_batch {
    struct shard *shard;
    struct arena *arena;
    struct store_archived *copies;
    const char **owners;
    struct receipt *receipts; /* one for each */
    size_t count, cap;
    size_t bytes; /* counted in the backlog */
    size_t answered;
};

struct archive {
    struct shard *shard;
    struct loop_deferred later;
    struct archive_batch *batch; /* NULL: nothing has been collected */
};

struct archive *archive_new(struct shard *shard)
{
    struct archive *archive = MEM_NEW(struct archive);
    archive->shard = shard;
    return archive;
}

static void batch_free(struct archive_batch *batch)
{
    atomic_fetch_sub(&batch->shard->backlog_bytes, batch->bytes);
    arena_free(&batch->arena);
    free(batch->copies);
    free(batch->owners);
    free(batch->receipts);
    free(batch);
}

void archive_free(struct archive **archive)
{
    if (!*archive) return;
    loop_defer_cancel(&(*archive)->later);
    if ((*archive)->batch) batch_free((*archive)->batch);
    free(*archive);
    *archive = NULL;
}

/* A message that could not be archived has gone its way all the same: who sent it need not send it again. */
static void on_added(enum store_status status, void *arg)
{
    struct archive_batch *batch = arg;
    shard_count(batch->shard, status == STORE_OK ? COUNTER_ARCHIVED : COUNTER_ARCHIVE_FAILED);
    receipt_settle(&batch->receipts[batch->answered++]);
    if (batch->answered == batch->count) batch_free(batch);
}

bool archive_flush(struct shard *shard)
{
    struct archive_batch *batch = shard->archive->batch;
    if (!batch) return false;
    shard->archive->batch = NULL;
    loop_defer_cancel(&shard->archive->later);
    for (size_t i = 0; i < batch->count; i++)
        store_archive_add(shard->backend->store, shard->mailbox, batch->owners[i], &batch->copies[i], on_added, batch);
    return true;
}

static void on_later(void *arg)
{
    struct archive *archive = arg;
    archive_flush(archive->shard);
}

static struct archive_batch *batch_of(struct archive *archive)
{
    if (archive->batch) return archive->batch;
    struct archive_batch *batch = archive->batch = MEM_NEW(struct archive_batch);
    batch->shard = archive->shard;
    batch->arena = arena_new();
    archive->later.fn = on_later;
    archive->later.arg = archive;
    loop_defer(archive->shard->loop, &archive->later);
    return batch;
}

/* The sender's copy and the recipient's come one behind the other, when both live here, and say the same. */
static const char *keep_text(struct archive_batch *batch, const struct stanza *stanza)
{
    const struct store_archived *last = batch->count > 0 ? &batch->copies[batch->count - 1] : NULL;
    if (last && last->len == stanza->text_len && memcmp(last->text, stanza->text, last->len) == 0) return last->text;
    char *text = arena_alloc(batch->arena, stanza->text_len + 1);
    memcpy(text, stanza->text, stanza->text_len);
    batch->bytes += stanza->text_len;
    atomic_fetch_add(&batch->shard->backlog_bytes, stanza->text_len);
    return text;
}

static int64_t now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* keep - a copy of the message, whose other side is with, for the user's archive.  Returns its id. */
static uint64_t keep(struct user *user, struct stanza *stanza, const struct jid *with)
{
    struct archive *archive = user->shard->archive;
    struct archive_batch *batch = batch_of(archive);
    const int64_t now = now_us();
    if (batch->count == batch->cap) {
        batch->cap = batch->cap ? batch->cap * 2 : COPIES_FIRST;
        batch->copies = mem_realloc(batch->copies, batch->cap * sizeof(struct store_archived));
        batch->owners = mem_realloc(batch->owners, batch->cap * sizeof(char *));
        batch->receipts = mem_realloc(batch->receipts, batch->cap * sizeof(struct receipt));
    }
    stanza_text(stanza);
    user->archive_last = (uint64_t)now > user->archive_last ? (uint64_t)now : user->archive_last + 1;
    const char *text = keep_text(batch, stanza);
    batch->receipts[batch->count] = receipt_split(&stanza->receipt);
    batch->owners[batch->count] = arena_strdup(batch->arena, user->bare);
    batch->copies[batch->count++] = (struct store_archived){
        .id = user->archive_last,
        .stamp_ms = now / 1000,
        .with_bare = arena_strdup(batch->arena, with->bare),
        .with_resource = with->resource ? arena_strdup(batch->arena, with->resource) : "",
        .text = text,
        .len = stanza->text_len,
    };
    if (batch->count >= COPIES_MAX || batch->bytes >= BYTES_MAX) archive_flush(user->shard);
    return user->archive_last;
}

const struct host *archive_host(const struct user *user)
{
    const char *domain = strchr(user->bare, '@');
    const struct host *host = domain ? hosts_find(shard_hosts(user->shard), domain + 1) : NULL;
    return host && host->archive && !user->temporary ? host : NULL;
}

static void on_last(enum store_status status, uint64_t id, void *arg)
{
    struct user *user = arg; /* which is being read, and so is kept */
    if (status == STORE_OK && id > user->archive_last) user->archive_last = id;
}

void archive_ask_last(struct user *user)
{
    if (!archive_host(user)) return;
    archive_flush(user->shard); /* perhaps of this user, who has just been forgotten */
    store_archive_last(user->shard->backend->store, user->shard->mailbox, user->bare, on_last, user);
}

static bool wants(const struct user *user, const struct host *host, const struct stanza *stanza, const struct jid *with)
{
    return user->exists && archive_policy_keeps(stanza) && archive_prefs_want(user, host->archive_default, with);
}

void archive_outgoing(struct user *user, struct stanza *stanza)
{
    const struct host *host = archive_host(user);
    if (!host) return;
    stanza_id_strip(stanza, user->bare);
    if (strcmp(stanza->to->bare, user->bare) == 0) return; /* once is enough: archive_incoming */
    if (!wants(user, host, stanza, stanza->to)) return;
    keep(user, stanza, stanza->to);
    if (atomic_load(&user->shard->backlog_bytes) > BACKLOG_MAX) user->shard->ahead = true;
}

void archive_incoming(struct user *user, struct stanza *stanza)
{
    const struct host *host = stanza->returned ? NULL : archive_host(user); /* what is returned has been here before */
    if (!host) return;
    stanza_id_strip(stanza, user->bare);
    if (wants(user, host, stanza, stanza->from)) stanza->archive_id = keep(user, stanza, stanza->from);
}
