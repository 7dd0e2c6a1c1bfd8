/* upstream_config - the "upstream" sections of the configuration, read and checked. */
#ifndef POSTERN_GATEWAY_UPSTREAM_CONFIG_H
#define POSTERN_GATEWAY_UPSTREAM_CONFIG_H

#include "lib/check.h"
#include "lib/option.h"

#include <stddef.h>
#include <stdint.h>

enum upstream_proxy_protocol { UPSTREAM_PROXY_NONE, UPSTREAM_PROXY_V1, UPSTREAM_PROXY_V2, UPSTREAM_PROXY_V2_TLS };

/* Strings are borrowed from the file. */
struct upstream_config {
    const char *name; /* the section's title */
    const struct option_section *section;
    size_t server_count;
    enum upstream_proxy_protocol proxy_protocol;
    int64_t connect_timeout_ms;
};

/* upstream_config_read - fill config from a section.  Returns 0, or -1 and a message in error. */
MUSTCHECK int upstream_config_read(struct upstream_config *config, const struct option_section *section, char *error,
                                   size_t cap);

#endif
