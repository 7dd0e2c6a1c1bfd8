#include "lib/log_config.h"

#include <string.h>
#include <sys/un.h>

int log_config_read(struct log_config *config, const struct option_file *file, char *error, size_t cap)
{
    static const char *const OWN_LEVELS[LOG_SINKS] = {
        [LOG_SINK_STDERR] = "stderr-level",
        [LOG_SINK_FILE] = "file-level",
        [LOG_SINK_ERROR_FILE] = "error-file-level",
        [LOG_SINK_SYSLOG] = "syslog-level",
    };
    const struct option_section *log = option_single(file, "log");
    /* The order of the choices is that of the enums. */
    *config = (struct log_config){
        .level = (enum log_level)option_enum(log, "level"),
        .format = (enum log_format)option_enum(log, "format"),
        .addresses = (enum addr_mode)option_enum(log, "addresses"),
        .to_stderr = option_bool(log, "stderr"),
        .path = option_str(log, "file"),
        .error_path = option_str(log, "error-file"),
    };
    for (size_t i = 0; i < LOG_SINKS; i++) /* unset is -1 */
        config->own_level[i] = (unsigned char)(option_enum(log, OWN_LEVELS[i]) + 1);
    if (config->path && config->error_path && strcmp(config->path, config->error_path) == 0)
        return option_error(log, "error-file", error, cap, "expected another file than that of file");
    if (!option_is_set(log, "syslog")) return 0;
    config->syslog_path = option_str(log, "syslog-socket");
    config->syslog_facility = option_enum(log, "syslog");
    const size_t max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
    if (strlen(config->syslog_path) <= max) return 0;
    return option_error(log, "syslog-socket", error, cap, "expected a path of at most %zu bytes", max);
}
