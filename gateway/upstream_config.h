/* upstream_config - the "upstream" sections of the configuration, read and checked. */
#ifndef POSTERN_GATEWAY_UPSTREAM_CONFIG_H
#define POSTERN_GATEWAY_UPSTREAM_CONFIG_H

#include "gateway/balance.h"
#include "gateway/ejection.h"
#include "gateway/keepalive.h"
#include "gateway/server_text.h"
#include "lib/check.h"
#include "lib/option.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum upstream_proxy_protocol { UPSTREAM_PROXY_NONE, UPSTREAM_PROXY_V1, UPSTREAM_PROXY_V2, UPSTREAM_PROXY_V2_TLS };

struct upstream_config {
    const char *name;    /* the section's title; borrowed from the file */
    size_t server_count; /* at most BALANCE_SERVERS_MAX */
    struct server_text *servers;
    enum balance balance;
    enum upstream_proxy_protocol proxy_protocol;
    bool transparent;
    int64_t connect_timeout_ms;
    uint32_t max_connections; /* over all servers and workers; 0: no limit */
    uint32_t queue;           /* connections that may wait, over all workers */
    int64_t queue_timeout_ms;
    struct ejection_rules ejection;
    int64_t check_interval_ms; /* 0: no checks */
    int64_t check_timeout_ms;
    uint32_t rise, fall;
    int64_t resolve_interval_ms;
    struct keepalive keepalive;
};

/* upstream_config_read - fill config from a section.  Returns 0, or -1 and a message in error; upstream_config_clear
 * frees it either way. */
MUSTCHECK int upstream_config_read(struct upstream_config *config, const struct option_section *section, char *error,
                                   size_t cap);
void upstream_config_clear(struct upstream_config *config);

#endif
