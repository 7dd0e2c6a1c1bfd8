/* log_settings - the settings of the log as they are told to other processes of the gateway. */
#ifndef POSTERN_GATEWAY_LOG_SETTINGS_H
#define POSTERN_GATEWAY_LOG_SETTINGS_H

#include "lib/log.h"

#include <jansson.h>

/* log_settings_describe - the caller's reference to an object. */
json_t *log_settings_describe(const struct log_config *config);

/* log_settings_read - what such an object says; texts are borrowed from it. */
struct log_config log_settings_read(const json_t *settings);

#endif
