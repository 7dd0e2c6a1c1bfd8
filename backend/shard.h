/* shard - a thread with a loop that alone touches the users and streams that are its own. */
#ifndef POSTERN_BACKEND_SHARD_H
#define POSTERN_BACKEND_SHARD_H

#include "backend/backend.h"
#include "backend/host.h"
#include "lib/list.h"
#include "lib/loop.h"
#include "lib/mailbox.h"
#include "lib/map.h"
#include "lib/mem.h"

#include <pthread.h>
#include <stdbool.h>

struct archive;
struct component_desk;
struct remotes;
struct s2s_desk;
struct adhoc_sessions;
struct xml;

/* All members but backend, index, loop, mailbox and backlog_bytes are touched by the shard's own thread only. */
struct shard {
    unsigned magic;
    unsigned index;
    struct backend *backend;
    struct loop *loop;
    struct mailbox *mailbox;
    struct hosts *hosts;          /* the snapshot that a reload swaps */
    _Atomic size_t backlog_bytes; /* of the stanzas in the mailbox, and those being stored */
    pthread_t thread;
    bool has_thread;
    bool stopping;
    bool ahead;                      /* see user_send */
    struct xml *parser;              /* for texts of the store: see elem_parse */
    struct list streams;             /* struct stream, link */
    struct map *users;               /* by bare JID; struct user */
    struct deadline_queue *hurry;    /* streams that are not bound yet: auth-timeout */
    struct deadline_queue *promise;  /* messages that a client should acknowledge, for a sender who waits */
    struct deadline_queue *again;    /* clients that are to be asked once more */
    struct deadline_queue *silence;  /* clients that were asked to acknowledge */
    struct deadline_queue *detached; /* sessions that wait to be resumed */
    struct map *managed;             /* what counts for stream management, by serial; struct sm_inbox */
    uint64_t last_serial;
    struct deadline_queue *sasl; /* attempts at authentication that have to wait: sasl_on_tick */
    /* streams that pause for a moment, and for longer; from which nothing came for client-ping;
     * that owe the answer to a ping; that we have closed, and the client not yet */
    struct deadline_queue *pause, *rest, *quiet, *answer, *farewell;
    struct component_desk *components;
    struct remotes *remotes; /* other servers' domains that this shard owns */
    struct s2s_desk *s2s;
    struct deadline_queue *forget; /* users whose cut-off is over */
    struct archive *archive;
    struct adhoc_sessions *adhoc;  /* commands that are open; NULL: none */
    struct map *notices;           /* by domain; see notice; NULL: none is known */
    struct deadline_queue *orders; /* shard 0: a stop that an administrator has ordered */
    struct deadline order;
    struct deadline_queue *stop; /* shard 0: how long an orderly stop may take */
    struct deadline stop_limit;
};

static inline void shard_count(const struct shard *shard, enum backend_counter counter)
{
    counter_add(shard->backend->counters, counter, 1);
}

/* shard_hosts - the hosts, on the shard's own thread; good until the end of the turn.  Who keeps a host for longer uses
 * host_point. */
static inline const struct hosts *shard_hosts(const struct shard *shard)
{
    return shard->hosts;
}

/* shard_config - likewise the configuration as of the last reload.  What only a restart can change is in
 * backend->config. */
static inline const struct backend_config *shard_config(const struct shard *shard)
{
    return hosts_config(shard->hosts);
}

/* shard_here - the shard whose thread this is; NULL: none's. */
struct shard *shard_here(void);

/* shards_new - make count shards as backend->shards, each with a reference to hosts; none has a thread yet. */
void shards_new(struct backend *backend, struct hosts *hosts, unsigned count);

/* shards_start - start the threads of all but shard 0, whose loop the caller runs.  Returns 0, or -1 and a message. */
MUSTCHECK int shards_start(struct backend *backend, char *why, size_t cap);

/* shards_stop - begin an orderly stop, from shard 0: every stream is told system-shutdown; when the last is gone, or
 * after a bounded time, shard 0's loop stops. */
void shards_stop(struct backend *backend);

/* shards_join - after that: let every shard read its mailbox to the end, then end the threads.  Shard 0 is the
 * caller's. */
void shards_join(struct backend *backend);
/* shards_settle - after that: on this thread, as all shards in turn, do what is still on its way between them and the
 * store, so that nothing that was taken from a client is lost. */
void shards_settle(struct backend *backend);

void shards_free(struct backend *backend);

/* shard_of - the owner of a bare JID. */
struct shard *shard_of(const struct backend *backend, const char *bare);

/* shard_stream_gone - a stream has ended: tell shard 0 when it was the last one that a stop waits for. */
void shard_stream_gone(struct shard *shard);

#endif
