/* component - the streams of external components, each of which is a domain of its own.
 *
 * A component's domain belongs to a shard like a bare JID; there its stream lives once it has shown that it knows the
 * secret, and what is sent to or from the domain goes through that shard in order.  Source: XEP-0114. */
#ifndef POSTERN_BACKEND_COMPONENT_H
#define POSTERN_BACKEND_COMPONENT_H

#include "backend/stanza.h"
#include "lib/addr.h"

#include <stdbool.h>

struct backend;
struct component_desk;
struct shard;

/* The components of one shard. */
struct component_desk *component_desk_new(struct shard *shard);
void component_desk_free(struct component_desk **desk);

/* component_begin - a connection (taken) to a listener for components.  On shard 0. */
void component_begin(struct backend *backend, int fd, bool direct_tls, const struct addr *peer);

/* component_deliver - a stanza (taken) for a component's domain, on the shard that owns it; when the component is not
 * there it is answered by remote-server-timeout.  Returns false when so much waits that its sender must pause. */
bool component_deliver(struct shard *shard, struct stanza *stanza);

/* component_desk_follow - the hosts have changed: end the streams of components that are not configured any more.
 * component_desk_stop - tell all that the server stops.  component_desk_abort - end all at once. */
void component_desk_follow(struct component_desk *desk);
void component_desk_stop(struct component_desk *desk);
void component_desk_abort(struct component_desk *desk);

#endif
