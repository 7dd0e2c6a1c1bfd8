/* admin_http - the pages of the backend for those who watch it: /health, and /metrics for Prometheus. */
#ifndef POSTERN_BACKEND_ADMIN_HTTP_H
#define POSTERN_BACKEND_ADMIN_HTTP_H

#include <stdbool.h>

struct admin_http;
struct backend;

/* admin_http_new - on shard 0's loop. */
struct admin_http *admin_http_new(struct backend *backend);
/* admin_http_free - with every connection. */
void admin_http_free(struct admin_http **http);

/* admin_http_take - answer one request on a connection (taken), and end it; allowed: whether the client may ask.  With
 * too many connections already, or a client that is slow, it is just closed. */
void admin_http_take(struct admin_http *http, int fd, bool allowed);

#endif
