/* gateway_config - the gateway's configuration, typed and checked as a whole. */
#ifndef POSTERN_GATEWAY_GATEWAY_CONFIG_H
#define POSTERN_GATEWAY_GATEWAY_CONFIG_H

#include "gateway/handoff_config.h"
#include "gateway/limits_config.h"
#include "gateway/listener_config.h"
#include "gateway/route.h"
#include "gateway/tls_config.h"
#include "gateway/upstream_config.h"
#include "lib/check.h"
#include "lib/log.h"
#include "lib/option.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gateway_config {
    struct option_file *file;
    size_t workers;
    const char *user, *group; /* NULL: unset */
    const char *lock_file;
    const char *control_socket; /* NULL: none */
    bool sandbox;
    size_t max_connections; /* for each worker */
    int64_t peek_timeout_ms;
    size_t peek_limit_bytes;
    int64_t handshake_timeout_ms;
    int64_t idle_timeout_ms;
    int64_t half_closed_timeout_ms;
    int64_t drain_timeout_ms;
    struct limits_config limits;
    int64_t hard_stop_after_ms; /* 0: never */
    struct log_config log;
    size_t listener_count;
    struct listener_config *listeners;
    size_t upstream_count;
    struct upstream_config *upstreams;
    size_t backend_count;
    struct handoff_config *backends;
    size_t tls_count;
    struct tls_config *tls;
    int64_t ticket_rotation_ms;
    int64_t certificate_check_ms; /* 0: never */
    struct route_table *routes;
};

/* gateway_config_load - read and check a file.  NULL and a message "FILE:LINE: …" in error (cap bytes). */
MUSTCHECK struct gateway_config *gateway_config_load(const char *path, char *error, size_t cap);

/* gateway_config_load_tls - read the files that the "tls" sections name, with the rights of who may read keys: once
 * before the first worker is forked.  Returns 0, or -1 and a message in error. */
MUSTCHECK int gateway_config_load_tls(struct gateway_config *config, char *error, size_t cap);
void gateway_config_free(struct gateway_config **config);

/* gateway_config_upstream, gateway_config_backend, gateway_config_tls - the index of a section by its title; the title
 * is known to exist, for the routes were checked. */
size_t gateway_config_upstream(const struct gateway_config *config, const char *name);
size_t gateway_config_backend(const struct gateway_config *config, const char *name);
size_t gateway_config_tls(const struct gateway_config *config, const char *name);

#endif
