/* limits_config - the options that bound what clients may hold and how often they may come. */
#ifndef POSTERN_GATEWAY_LIMITS_CONFIG_H
#define POSTERN_GATEWAY_LIMITS_CONFIG_H

#include "gateway/source.h"
#include "lib/check.h"
#include "lib/cidr.h"
#include "lib/option.h"

#include <stddef.h>

/* For each source in all workers, 0: no limit; then for each worker. */
struct limits_config {
    size_t connections_per_source;
    size_t probing_per_source;
    struct source_rate rate_per_source;
    struct cidr_set unlimited; /* sources without limits */
    size_t probing;            /* 0: half of max-connections */
    size_t probing_memory_bytes;
};

/* limits_config_read - read and check them.  Returns 0, or -1 and a message in error; limits_config_clear either way.
 */
MUSTCHECK int limits_config_read(struct limits_config *config, const struct option_file *file, char *error, size_t cap);
void limits_config_clear(struct limits_config *config);

#endif
