#include "backend/stream_pace.h"

#include "backend/backend_config.h"
#include "backend/host.h"
#include "backend/ns.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/stream.h"

static struct stream *stream_of(struct deadline *deadline)
{
    return CONTAINER_OF(deadline, struct stream, deadline);
}

bool stream_pace_charge(struct stream *stream, size_t bytes, unsigned stanzas)
{
    const struct client_limits *limits = &stream->host->limits;
    if (stream->unlimited) return false;
    const int64_t now = loop_now_ms(stream->shard->loop);
    const int64_t for_stanzas = shaper_charge(&stream->stanza_shaper, limits->stanza_rate, stanzas, now);
    const int64_t for_bytes = shaper_charge(&stream->byte_shaper, limits->byte_rate, bytes, now);
    const int64_t wait = for_stanzas > for_bytes ? for_stanzas : for_bytes;
    if (wait == 0) return false;
    stream->resume_ms = now + wait;
    shard_count(stream->shard, COUNTER_RESTS);
    return true;
}

void stream_pace_begin_pause(struct stream *stream)
{
    const int64_t left = stream->resume_ms - loop_now_ms(stream->shard->loop);
    deadline_arm(left > STREAM_REST_MS ? stream->shard->rest : stream->shard->pause, &stream->deadline);
}

void stream_pace_on_pause_over(struct deadline *deadline, void *shard)
{
    (void)shard;
    struct stream *stream = stream_of(deadline);
    if (stream->resume_ms > loop_now_ms(stream->shard->loop)) {
        stream_pace_begin_pause(stream);
    } else {
        stream_advance(stream, STREAM_BOUND);
    }
}

void stream_pace_heard(struct stream *stream)
{
    if (shard_config(stream->shard)->client_ping_ms > 0) deadline_arm(stream->shard->quiet, &stream->deadline);
}

/* Any answer will do, an error too: it is not looked at but for that it came. */
void stream_pace_on_quiet(struct deadline *deadline, void *shard)
{
    (void)shard;
    struct stream *stream = stream_of(deadline);
    struct elem *iq = elem_new(arena_new(), NS_CLIENT, "iq");
    elem_set(iq, "type", "get");
    elem_set(iq, "id", "are-you-there");
    elem_set(iq, "from", stream->host->domain);
    elem_set(iq, "to", stream->session->jid->full);
    elem_add(iq, NS_PING, "ping");
    stream_send_elem(stream, iq);
    elem_free(&iq);
    shard_count(stream->shard, COUNTER_PINGS);
    if (stream->state == STREAM_BOUND) deadline_arm(stream->shard->answer, &stream->deadline);
}

void stream_pace_on_no_answer(struct deadline *deadline, void *shard)
{
    (void)shard;
    stream_fail(stream_of(deadline), END_PING_TIMEOUT, "connection-timeout", "no answer to a ping");
}
