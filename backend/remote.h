/* remote - what this server has of another server's domain: the streams, what waits, when to try again.
 *
 * A remote domain belongs to a shard like a bare JID.  All stanzas to it pass through here in order: they go out on a
 * stream, wait in memory for one that is being set up, or, while the domain cannot be reached, wait in the store
 * (messages and subscriptions) or are answered.  See docs/federation.md. */
#ifndef POSTERN_BACKEND_REMOTE_H
#define POSTERN_BACKEND_REMOTE_H

#include "backend/s2s_failure.h"
#include "backend/stanza.h"
#include "lib/list.h"
#include "lib/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct s2s_stream;
struct shard;

struct remote {
    struct shard *shard;
    char *domain;
    struct list streams; /* struct s2s_stream, link: kept by s2s_stream */
    struct list routes;  /* struct remote_route, link: one for each of our domains that writes to it */
    unsigned pins;
};

/* remote_get - made when it is not there; the shard owns the domain.  remote_release - free it if nothing keeps it any
 * more: call after taking something out of it. */
struct remote *remote_get(struct shard *shard, const char *domain);
struct remote *remote_find(struct shard *shard, const char *domain);
void remote_release(struct remote *remote);

/* remote_deliver - a stanza (taken) for the domain, on the shard that owns it.  Returns false when so much waits that
 * its sender must pause. */
bool remote_deliver(struct shard *shard, struct stanza *stanza);

/* What streams tell.  All on the owning shard. */

/* remote_link_up - stanzas of local may be sent on the stream from now on, until remote_link_gone. */
void remote_link_up(struct remote *remote, struct s2s_stream *stream, const char *local);
/* remote_link_failed - s2s_out_begin or s2s_out_join for local came to nothing; why is for a person. */
void remote_link_failed(struct remote *remote, const char *local, enum s2s_failure failure, const char *why);
/* remote_link_gone - nothing more can be sent on the stream, which is about to be freed. resumable: it waits to be
 * resumed, and keeps what was not acknowledged. */
void remote_link_gone(struct remote *remote, struct s2s_stream *stream);
/* remote_heard - the domain has just proved itself on a stream that it opened: it is there. */
void remote_heard(struct remote *remote);
/* remote_takes_answer - whether an iq's answer from the domain to a host of ours was for a ping of ours. */
bool remote_takes_answer(struct remote *remote, const struct stanza *answer);

#endif
