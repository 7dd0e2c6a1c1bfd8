/* log_config - the section "log" of a configuration file. */
#ifndef POSTERN_LIB_LOG_CONFIG_H
#define POSTERN_LIB_LOG_CONFIG_H

#include "lib/check.h"
#include "lib/log.h"
#include "lib/option.h"

#include <stddef.h>

/* log_config_read - fill config; its texts are borrowed from the file.  Returns 0, or -1 and a message in error. */
MUSTCHECK int log_config_read(struct log_config *config, const struct option_file *file, char *error, size_t cap);

#endif
