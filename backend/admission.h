/* admission - new connections become streams, or are refused. */
#ifndef POSTERN_BACKEND_ADMISSION_H
#define POSTERN_BACKEND_ADMISSION_H

#include "backend/stream.h"

#include <stdbool.h>

struct backend;
struct backend_config;

/* admission_has_room - whether the process has descriptors for one more connection.  When not: stop reading for some
 * time; connections wait in the kernel. */
bool admission_has_room(const struct backend *backend);

/* admission_name - give the connection an id of our own.  Any thread. */
void admission_name(struct stream_origin *origin);

/* admission_keep_alive - have TCP find out whether the peer is still there. */
void admission_keep_alive(const struct backend_config *config, int fd);

/* admission_take - begin a stream on the next shard in turn; takes the descriptor, and what was told of TLS.  Closes it
 * and counts when the server is full or stopping, or its source has too many streams that have not logged in.  Called
 * on shard 0. */
void admission_take(struct backend *backend, struct stream_origin *origin);

#endif
