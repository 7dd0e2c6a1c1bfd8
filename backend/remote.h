/* remote - what this server has of another server's domain: the streams, and a route for each of our domains.
 *
 * A remote domain belongs to a shard like a bare JID.  All stanzas to it pass through here in order: see remote_route.h
 * for what becomes of them, and docs/federation.md. */
#ifndef POSTERN_BACKEND_REMOTE_H
#define POSTERN_BACKEND_REMOTE_H

#include "backend/remote_failure.h"
#include "backend/s2s_failure.h"
#include "backend/stanza.h"
#include "lib/list.h"
#include "lib/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event;
struct backend;
struct map;
struct s2s_stream;
struct shard;

/* All remotes of a shard, and the times of what they wait for. */
struct remotes {
    struct map *by_domain;              /* struct remote */
    struct deadline_queue *connecting;  /* routes with messages for which senders wait: S2S_PROMISE_MS */
    struct deadline_queue *promise;     /* struct s2s_unacked, for which senders wait: S2S_PROMISE_MS */
    struct deadline_queue *ping, *pong; /* struct s2s_unacked: until the ping, and until its answer */
    struct remote_failure_turn turn;    /* of the log */
};

struct remote {
    struct shard *shard;
    char *domain;
    struct list streams; /* struct s2s_stream, link: kept by s2s_stream */
    struct list routes;  /* struct remote_route, link: one for each of our domains that writes to it */
    struct event *idle;  /* when a stream may have been unused for too long; NULL: never needed yet */
    unsigned pins;
    void (*unused)(struct remote *remote, void *arg); /* of one that stands alone; else NULL */
    void *unused_arg;
};

struct remotes *remotes_new(struct shard *shard);
/* remotes_free - with all that there is; the streams are gone, and the store has answered. */
void remotes_free(struct remotes **remotes);

/* remotes_follow - the hosts have changed: what is not allowed any more is answered, what is now is tried.
 * remotes_stop - the server stops: messages that wait for a stream are stored, and what is on its way is asked for once
 * more before the streams end. */
void remotes_follow(struct shard *shard);
void remotes_stop(struct shard *shard);

/* remotes_each - call fn for every remote of the shard; it may do to the remote what it likes. */
void remotes_each(struct shard *shard, void (*fn)(struct remote *remote, void *arg), void *arg);

/* remote_get - made when it is not there; the shard owns the domain.  remote_release - free it if nothing keeps it any
 * more: call after taking something out of it.  remote_find - NULL when it is not there. */
struct remote *remote_get(struct shard *shard, const char *domain);
struct remote *remote_find(struct shard *shard, const char *domain);
void remote_release(struct remote *remote);

/* remote_new_alone - one that nobody finds, for a stream that carries no stanzas; when that is gone unused(remote, arg)
 * is called, and then it is the caller's to free with remote_free_alone. */
struct remote *remote_new_alone(struct shard *shard, const char *domain,
                                void (*unused)(struct remote *remote, void *arg), void *arg);
void remote_free_alone(struct remote *remote);

/* remote_watch - its streams end when they have not been used for s2s-idle-timeout. */
void remote_watch(struct remote *remote);

/* remote_deliver - a stanza (taken) for the domain, on the shard that owns it.  Returns false when so much waits that
 * its sender must pause. */
bool remote_deliver(struct shard *shard, struct stanza *stanza);

/* remote_is_slow - whether the domain acknowledges more slowly than it is sent to, so that senders should pause;
 * perhaps another one does whose name has the same hash.  Any thread. */
bool remote_is_slow(struct backend *backend, const char *domain);

/* remote_connect - the stream by which local reaches or is about to reach the domain; begun if there is none.  NULL:
 * they may not talk to each other, or the server stops. */
struct s2s_stream *remote_connect(struct remote *remote, const char *local);

/* What an administrator asks for.  remote_retry - connect now, whatever the backoff says.  remote_purge - throw away
 * what waits, unless it is on its way; senders are told if it bounces.  remote_close - end all streams. local NULL: of
 * all our domains. */
void remote_retry(struct remote *remote, const char *local);
void remote_purge(struct remote *remote, const char *local, bool bounce);
void remote_close(struct remote *remote);

/* What streams tell.  All on the owning shard but remote_heard.  A stream calls remote_release when it is out of the
 * list and has told its end. */

/* remote_link_up - stanzas of local may be sent on the stream from now on, until remote_link_gone. */
void remote_link_up(struct remote *remote, struct s2s_stream *stream, const char *local);
/* remote_link_failed - s2s_out_begin or s2s_out_join for local came to nothing; why is for a person, and may be NULL.
 */
void remote_link_failed(struct remote *remote, const char *local, enum s2s_failure failure, const char *why);
/* remote_link_gone - nothing more can be sent on the stream, which is about to be freed: what is in stream->unacked is
 * stored. */
void remote_link_gone(struct remote *remote, struct s2s_stream *stream);
/* remote_link_drained - the stream can take more: its output is with the kernel, or something was acknowledged. */
void remote_link_drained(struct remote *remote, struct s2s_stream *stream);
/* remote_heard - the domain has just proved itself on a stream that it opened: it is there.  From any shard. */
void remote_heard(struct shard *here, const char *domain);
/* remote_takes_answer - whether an iq's answer from the domain to a host of ours was for a ping of ours. */
bool remote_takes_answer(struct remote *remote, const struct stanza *answer);

#endif
