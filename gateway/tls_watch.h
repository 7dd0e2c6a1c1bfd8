/* tls_watch - in the master: sees when the certificate files of a configuration change, and sends what is served from
 * then on to its workers. */
#ifndef POSTERN_GATEWAY_TLS_WATCH_H
#define POSTERN_GATEWAY_TLS_WATCH_H

#include "gateway/gateway_config.h"
#include "lib/loop.h"

struct tls_watch;

/* tls_watch_fn - give the bundle in fd (kept by the watch) to the workers, for the section of this title. */
typedef void tls_watch_fn(const char *title, int fd, void *arg);

/* tls_watch_new - config is borrowed; its certificates are replaced when they change, so that a worker that is forked
 * later has them, too. */
struct tls_watch *tls_watch_new(struct loop *loop, struct gateway_config *config, tls_watch_fn *fn, void *arg);
void tls_watch_free(struct tls_watch **watch);

#endif
