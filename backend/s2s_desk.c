#include "backend/s2s_desk.h"

#include "backend/backend_config.h"
#include "backend/dialback.h"
#include "backend/host.h"
#include "backend/s2s_out.h"
#include "backend/s2s_sm.h"
#include "backend/s2s_stream.h"
#include "backend/shard.h"
#include "backend/stream_pace.h"

#include <stdlib.h>

enum { ANSWER_MS = 25000 /* less than others wait for us */ };

/* What an outgoing stream has waited for in vain. */
static const char *missing(const struct s2s_stream *stream)
{
    switch (stream->state) {
    case S2S_SECURING:
        return "no answer to the TLS handshake";
    case S2S_OPENING:
        return "no answer to the stream's header";
    case S2S_FEATURES:
        return "no stream features";
    case S2S_PROCEED:
        return "no answer to STARTTLS";
    case S2S_SASL:
        return "no answer to our certificate";
    case S2S_ANSWER:
        return "no answer to dialback";
    default:
        return s2s_stream_state_name(stream);
    }
}

static void on_hurry(struct deadline *deadline, void *desk)
{
    (void)desk;
    struct s2s_stream *stream = CONTAINER_OF(deadline, struct s2s_stream, deadline);
    if (stream->outgoing) {
        s2s_out_give_up(stream, S2S_TIMEOUT, missing(stream));
    } else {
        s2s_stream_fail(stream, END_AUTH_TIMEOUT, "connection-timeout", "nothing was proved in time");
    }
}

static void on_pause_over(struct deadline *deadline, void *desk)
{
    (void)desk;
    struct s2s_stream *stream = CONTAINER_OF(deadline, struct s2s_stream, deadline);
    if (stream->resume_ms > loop_now_ms(stream->shard->loop)) {
        s2s_stream_rest(stream);
    } else {
        stream->state = S2S_OPEN;
        peer_go_on(stream->peer);
    }
}

static void on_pair_silent(struct deadline *deadline, void *desk)
{
    (void)desk;
    s2s_out_pair_failed(CONTAINER_OF(deadline, struct s2s_pair, deadline), S2S_TIMEOUT, "no answer to dialback");
}

struct s2s_desk *s2s_desk_new(struct shard *shard)
{
    struct s2s_desk *desk = MEM_NEW(struct s2s_desk);
    desk->shard = shard;
    list_init(&desk->all);
    desk->hurry = deadline_queue_new(shard->loop, shard->backend->config->auth_timeout_ms, on_hurry, desk);
    desk->pause = deadline_queue_new(shard->loop, STREAM_PAUSE_MS, on_pause_over, desk);
    desk->rest = deadline_queue_new(shard->loop, STREAM_REST_MS, on_pause_over, desk);
    desk->asked = deadline_queue_new(shard->loop, ANSWER_MS, dialback_on_silence, desk);
    desk->sm = s2s_sm_desk_new(shard);
    desk->pairs = deadline_queue_new(shard->loop, ANSWER_MS, on_pair_silent, desk);
    return desk;
}

void s2s_desk_free(struct s2s_desk **desk)
{
    struct s2s_desk *d = *desk;
    *desk = NULL;
    deadline_queue_free(&d->hurry);
    deadline_queue_free(&d->pause);
    deadline_queue_free(&d->rest);
    deadline_queue_free(&d->asked);
    deadline_queue_free(&d->pairs);
    s2s_sm_desk_free(&d->sm);
    free(d);
}

/* What is being connected goes by the hosts that it began with. */
static void follow(struct s2s_stream *stream, struct hosts *hosts)
{
    struct s2s_policy policy;
    enum s2s_failure failure;
    if (stream->dialer || stream->state >= S2S_CLOSING || !stream->local) return;
    if (!s2s_policy_serves(hosts, stream->local)) {
        s2s_stream_fail(stream, END_HOST_GONE, "host-gone", NULL);
    } else if (stream->domain && !s2s_policy_of(hosts, stream->local, stream->domain, &policy, &failure)) {
        s2s_stream_fail(stream, END_DENIED, "policy-violation", NULL);
    } else if (stream->domain) {
        hosts_unref(&stream->hosts);
        stream->hosts = hosts_ref(hosts);
        stream->policy = policy;
    }
}

void s2s_desk_follow(struct s2s_desk *desk)
{
    LIST_EACH (link, &desk->all)
        follow(LIST_ENTRY(link, struct s2s_stream, all), desk->shard->hosts);
    s2s_sm_desk_follow(desk->shard);
}

void s2s_desk_stop(struct s2s_desk *desk)
{
    LIST_EACH (link, &desk->all)
        s2s_stream_fail(LIST_ENTRY(link, struct s2s_stream, all), END_SHUTDOWN, "system-shutdown", NULL);
    s2s_sm_desk_stop(desk->shard);
}

void s2s_desk_abort(struct s2s_desk *desk)
{
    LIST_EACH (link, &desk->all)
        s2s_stream_abort(LIST_ENTRY(link, struct s2s_stream, all), END_SHUTDOWN);
}
