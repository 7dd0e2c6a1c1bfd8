/* handoff_config - the "backend" sections of the configuration, read and checked. */
#ifndef POSTERN_GATEWAY_HANDOFF_CONFIG_H
#define POSTERN_GATEWAY_HANDOFF_CONFIG_H

#include "gateway/balance.h"
#include "lib/addr.h"
#include "lib/check.h"
#include "lib/option.h"

#include <stddef.h>
#include <stdint.h>

struct handoff_config {
    const char *name;   /* the section's title; borrowed from the file */
    size_t inlet_count; /* at most BALANCE_SERVERS_MAX */
    struct endpoint *inlets;
    enum balance balance; /* not by least connections: what is handed over is not ours to count */
    int64_t handoff_timeout_ms;
    const char *fallback; /* title of an upstream that is there; NULL: none; borrowed from the file */
};

/* handoff_config_read - fill config from a section of file.  Returns 0, or -1 and a message in error;
 * handoff_config_clear frees it either way. */
MUSTCHECK int handoff_config_read(struct handoff_config *config, const struct option_file *file,
                                  const struct option_section *section, char *error, size_t cap);
void handoff_config_clear(struct handoff_config *config);

#endif
