/* handoff_config - the "backend" sections of the configuration, read and checked. */
#ifndef POSTERN_GATEWAY_HANDOFF_CONFIG_H
#define POSTERN_GATEWAY_HANDOFF_CONFIG_H

#include "lib/addr.h"
#include "lib/check.h"
#include "lib/option.h"

#include <stddef.h>
#include <stdint.h>

/* Strings are borrowed from the file. */
struct handoff_config {
    const char *name; /* the section's title */
    struct endpoint inlet;
    int64_t handoff_timeout_ms;
};

/* handoff_config_read - fill config from a section.  Returns 0, or -1 and a message in error. */
MUSTCHECK int handoff_config_read(struct handoff_config *config, const struct option_section *section, char *error,
                                  size_t cap);

#endif
