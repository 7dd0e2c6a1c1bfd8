#include "backend/s2s_gauges.h"

#include "backend/remote.h"
#include "backend/remote_route.h"
#include "backend/s2s_desk.h"
#include "backend/s2s_stream.h"
#include "backend/shard.h"

static void add_remote(struct remote *remote, void *arg)
{
    struct s2s_gauges *gauges = arg;
    bool failing = false;
    LIST_EACH (link, &remote->routes) {
        const struct remote_route *route = LIST_ENTRY(link, struct remote_route, link);
        gauges->queued += route->queue.count;
        gauges->queued_bytes += route->queue.bytes;
        failing = failing || route->failing;
    }
    gauges->failing += failing;
}

void s2s_gauges_add(struct shard *shard, struct s2s_gauges *gauges)
{
    LIST_EACH (link, &shard->s2s->all) {
        const struct s2s_stream *stream = LIST_ENTRY(link, struct s2s_stream, all);
        if (s2s_stream_is_open(stream)) *(stream->outgoing ? &gauges->out : &gauges->in) += 1;
    }
    remotes_each(shard, add_remote, gauges);
}
