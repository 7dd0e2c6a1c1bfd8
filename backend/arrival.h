/* arrival - accepted connections that wait for the PROXY header which they must begin with.
 *
 * The header is read exactly, in however many pieces it comes: what follows it is the stream's.  A connection that ends
 * before its first byte only looks whether we are there, and is closed without a word.  On shard 0.
 * Source: The PROXY protocol, versions 1 & 2 (HAProxy, proxy-protocol.txt), sections 2 and 5. */
#ifndef POSTERN_BACKEND_ARRIVAL_H
#define POSTERN_BACKEND_ARRIVAL_H

#include "backend/stream.h"
#include "lib/pp2.h"

#include <stdbool.h>

struct arrivals;
struct backend;

/* The header is complete: the descriptor is the callee's.  kind is what arrivals_add was given. */
typedef void arrival_settled(void *arg, struct stream_origin *origin, unsigned kind, const struct pp2 *header);
/* The header is malformed, too long or late; the connection is closed afterwards. */
typedef void arrival_failed(void *arg, const struct stream_origin *origin, const char *why);

struct arrival_rules {
    bool version1; /* a line of version 1 will do as well */
    arrival_settled *settled;
    arrival_failed *failed;
};

/* arrivals_new - nobody waits yet.  A header may take 5 s, or auth-timeout if that is less; when 1,024 wait, the one
 * that has waited longest has failed. */
struct arrivals *arrivals_new(struct backend *backend, const struct arrival_rules *rules, void *arg);

/* arrivals_free - closes all that wait. */
void arrivals_free(struct arrivals **arrivals);

/* arrivals_add - wait for the header of a connection (its descriptor is taken; the texts of origin are not kept).  It
 * counts in backend->streams meanwhile. */
void arrivals_add(struct arrivals *arrivals, const struct stream_origin *origin, unsigned kind);

#endif
