#include "backend/shard.h"

#include "backend/adhoc.h"
#include "backend/archive.h"
#include "backend/backend_config.h"
#include "backend/component.h"
#include "backend/notice.h"
#include "backend/remote.h"
#include "backend/s2s_desk.h"
#include "backend/sasl.h"
#include "backend/sm.h"
#include "backend/stream.h"
#include "backend/stream_pace.h"
#include "backend/user.h"
#include "backend/xml.h"
#include "lib/spare.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHARD_MAGIC = 0x73686172, STOP_LIMIT_MS = STREAM_LINGER_MS + 1000 };

static _Thread_local struct shard *here;

struct shard *shard_here(void)
{
    return here;
}

/* Nobody is in the queue while client-ping is unset. */
static int64_t quiet_ms(const struct shard *shard)
{
    const int64_t ping_ms = shard_config(shard)->client_ping_ms;
    return ping_ms > 0 ? ping_ms : STREAM_ANSWER_MS;
}

static void make_pace(struct shard *shard)
{
    shard->pause = deadline_queue_new(shard->loop, STREAM_PAUSE_MS, stream_pace_on_pause_over, shard);
    shard->rest = deadline_queue_new(shard->loop, STREAM_REST_MS, stream_pace_on_pause_over, shard);
    shard->farewell = deadline_queue_new(shard->loop, STREAM_LINGER_MS, stream_on_farewell_over, shard);
    shard->quiet = deadline_queue_new(shard->loop, quiet_ms(shard), stream_pace_on_quiet, shard);
    shard->answer = deadline_queue_new(shard->loop, STREAM_ANSWER_MS, stream_pace_on_no_answer, shard);
}

static struct shard *shard_new(struct backend *backend, struct hosts *hosts, unsigned index)
{
    struct shard *shard = MEM_NEW(struct shard);
    shard->magic = SHARD_MAGIC;
    shard->index = index;
    shard->backend = backend;
    shard->hosts = hosts_ref(hosts);
    shard->loop = loop_new();
    shard->mailbox = mailbox_new(shard->loop);
    list_init(&shard->streams);
    shard->users = map_new();
    shard->hurry = deadline_queue_new(shard->loop, backend->config->auth_timeout_ms, stream_on_hurry, shard);
    make_pace(shard);
    shard->components = component_desk_new(shard);
    shard->s2s = s2s_desk_new(shard);
    shard->remotes = remotes_new(shard);
    shard->promise = deadline_queue_new(shard->loop, SM_PROMISE_MS, sm_queue_on_promise, shard);
    shard->again = deadline_queue_new(shard->loop, SM_AGAIN_MS, sm_on_again, shard);
    shard->silence = deadline_queue_new(shard->loop, backend->config->ack_timeout_ms, sm_on_silence, shard);
    shard->detached = deadline_queue_new(shard->loop, backend->config->resume_timeout_ms, sm_on_detached, shard);
    shard->managed = map_new();
    shard->sasl = deadline_queue_new(shard->loop, SASL_TICK_MS, sasl_on_tick, shard);
    /* an exchange that is under way when an account changes is over by then: a moved stream has its time twice */
    shard->archive = archive_new(shard);
    shard->forget = deadline_queue_new(shard->loop, 2 * backend->config->auth_timeout_ms, user_on_forget, shard);
    return shard;
}

void shards_new(struct backend *backend, struct hosts *hosts, unsigned count)
{
    backend->shard_count = count;
    backend->shards = mem_alloc(count * sizeof(struct shard *));
    for (unsigned i = 0; i < count; i++)
        backend->shards[i] = shard_new(backend, hosts, i);
}

static void *thread_main(void *arg)
{
    struct shard *shard = arg;
    CHECK_MAGIC(shard, SHARD_MAGIC);
    here = shard;
    char name[16];
    snprintf(name, sizeof(name), "shard-%u", shard->index);
    pthread_setname_np(pthread_self(), name);
    struct spare *spare = spare_new(shard->loop);
    loop_run(shard->loop);
    spare_free(&spare);
    return NULL;
}

int shards_start(struct backend *backend, char *why, size_t cap)
{
    here = backend->shards[0];
    /* signals are the main thread's */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = 0;
    for (unsigned i = 1; i < backend->shard_count && error == 0; i++) {
        struct shard *shard = backend->shards[i];
        error = pthread_create(&shard->thread, NULL, thread_main, shard);
        shard->has_thread = error == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0) return 0;
    snprintf(why, cap, "cannot start a thread: %s", strerror(error));
    return -1;
}

struct shard *shard_of(const struct backend *backend, const char *bare)
{
    return backend->shards[hash_bytes(bare, strlen(bare)) % backend->shard_count];
}

static void on_all_gone(void *arg)
{
    struct backend *backend = arg;
    loop_stop(backend->shards[0]->loop);
}

void shard_stream_gone(struct shard *shard)
{
    struct backend *backend = shard->backend;
    if (atomic_fetch_sub(&backend->streams, 1) == 1 && backend_is_stopping(backend))
        mailbox_post(backend->shards[0]->mailbox, on_all_gone, backend);
}

/* Users that are pinned, since what becomes of one may make or free others. */
struct pinned {
    struct user **users;
    size_t count, cap;
};

static bool pin_user(const void *key, size_t key_len, void *value, void *arg)
{
    struct pinned *pinned = arg;
    (void)key;
    (void)key_len;
    if (pinned->count == pinned->cap) {
        pinned->cap = pinned->cap ? pinned->cap * 2 : 64;
        pinned->users = mem_realloc(pinned->users, pinned->cap * sizeof(struct user *));
    }
    pinned->users[pinned->count++] = value;
    user_pin(value);
    return true;
}

static void end_detached(struct shard *shard)
{
    struct pinned pinned = {0};
    map_each(shard->users, pin_user, &pinned);
    for (size_t i = 0; i < pinned.count; i++) {
        user_end_detached(pinned.users[i]);
        user_unpin(pinned.users[i]);
    }
    free(pinned.users);
}

/* What the clients' sessions had to say at their end is on its way by now: it is before this in every mailbox. */
static void on_stop_servers(void *arg)
{
    struct shard *shard = arg;
    remotes_stop(shard);
    s2s_desk_stop(shard->s2s);
}

static void on_stop(void *arg)
{
    struct shard *shard = arg;
    shard->stopping = true;
    LIST_EACH (link, &shard->streams) {
        stream_fail(LIST_ENTRY(link, struct stream, link), END_SHUTDOWN, "system-shutdown", NULL);
    }
    component_desk_stop(shard->components);
    end_detached(shard);
    struct backend *backend = shard->backend;
    if (atomic_fetch_add(&backend->shards_stopped, 1) + 1 < backend->shard_count) return;
    for (unsigned i = 0; i < backend->shard_count; i++)
        mailbox_post(backend->shards[i]->mailbox, on_stop_servers, backend->shards[i]);
}

static void on_stop_limit(struct deadline *deadline, void *arg)
{
    (void)deadline;
    on_all_gone(arg);
}

void shards_stop(struct backend *backend)
{
    struct shard *first = backend->shards[0];
    if (atomic_exchange(&backend->stopping, true)) return;
    for (unsigned i = 0; i < backend->shard_count; i++)
        mailbox_post(backend->shards[i]->mailbox, on_stop, backend->shards[i]);
    if (atomic_load(&backend->streams) == 0) mailbox_post(first->mailbox, on_all_gone, backend);
    first->stop = deadline_queue_new(first->loop, STOP_LIMIT_MS, on_stop_limit, backend);
    deadline_arm(first->stop, &first->stop_limit);
}

static void on_quit(void *arg)
{
    struct shard *shard = arg;
    LIST_EACH (link, &shard->streams) {
        stream_abort(LIST_ENTRY(link, struct stream, link), END_SHUTDOWN);
    }
    component_desk_abort(shard->components);
    s2s_desk_abort(shard->s2s);
    loop_stop(shard->loop);
}

void shards_join(struct backend *backend)
{
    for (unsigned i = 0; i < backend->shard_count; i++)
        mailbox_post(backend->shards[i]->mailbox, on_quit, backend->shards[i]);
    loop_run(backend->shards[0]->loop);
    for (unsigned i = 1; i < backend->shard_count; i++)
        if (backend->shards[i]->has_thread) pthread_join(backend->shards[i]->thread, NULL);
}

void shards_settle(struct backend *backend)
{
    bool more = true;
    while (more) {
        more = false;
        if (backend->store) store_finish(backend->store);
        for (unsigned i = 0; i < backend->shard_count; i++) {
            here = backend->shards[i];
            if (mailbox_drain(here->mailbox)) more = true;
            if (archive_flush(here)) more = true;
        }
    }
    here = NULL;
}

static bool forget_user(const void *key, size_t key_len, void *value, void *arg)
{
    (void)key;
    (void)key_len;
    (void)arg;
    user_free(value);
    return true;
}

static void shard_free(struct shard **shard)
{
    struct shard *s = *shard;
    *shard = NULL;
    deadline_queue_free(&s->hurry);
    deadline_queue_free(&s->pause);
    deadline_queue_free(&s->promise);
    deadline_queue_free(&s->again);
    deadline_queue_free(&s->silence);
    deadline_queue_free(&s->detached);
    deadline_queue_free(&s->sasl);
    component_desk_free(&s->components);
    s2s_desk_free(&s->s2s);
    remotes_free(&s->remotes);
    deadline_queue_free(&s->rest);
    deadline_queue_free(&s->quiet);
    deadline_queue_free(&s->answer);
    deadline_queue_free(&s->farewell);
    deadline_queue_free(&s->forget);
    map_free(&s->managed);
    deadline_queue_free(&s->stop);
    deadline_queue_free(&s->orders);
    adhoc_forget(s);
    archive_free(&s->archive);
    notice_forget(s);
    map_each(s->users, forget_user, NULL);
    map_free(&s->users);
    xml_free(&s->parser);
    mailbox_free(&s->mailbox);
    loop_free(&s->loop);
    hosts_unref(&s->hosts);
    s->magic = 0;
    free(s);
}

void shards_free(struct backend *backend)
{
    for (unsigned i = 0; i < backend->shard_count; i++)
        shard_free(&backend->shards[i]);
    free(backend->shards);
    backend->shards = NULL;
}
