/* upstream_log - log lines about one server of an upstream. */
#ifndef POSTERN_GATEWAY_UPSTREAM_LOG_H
#define POSTERN_GATEWAY_UPSTREAM_LOG_H

#include "lib/log.h"

/* upstream_log - event with the upstream's title, the server's name, and one field more unless its value is NULL. */
void upstream_log(enum log_level level, const char *event, const char *upstream, const char *server, const char *key,
                  const char *value);

#endif
