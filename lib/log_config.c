#include "lib/log_config.h"

#include <string.h>
#include <sys/un.h>

int log_config_read(struct log_config *config, const struct option_file *file, char *error, size_t cap)
{
    const struct option_section *log = option_single(file, "log");
    /* The order of the choices is that of the enums. */
    *config = (struct log_config){
        .level = (enum log_level)option_enum(log, "level"),
        .format = (enum log_format)option_enum(log, "format"),
        .addresses = (enum addr_mode)option_enum(log, "addresses"),
        .path = option_str(log, "file"),
    };
    if (!option_is_set(log, "syslog")) return 0;
    if (config->path != NULL)
        return option_error(log, "syslog", error, cap, "expected either a file or syslog, but both are given");
    config->syslog_path = option_str(log, "syslog-socket");
    config->syslog_facility = option_enum(log, "syslog");
    const size_t max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
    if (strlen(config->syslog_path) <= max) return 0;
    return option_error(log, "syslog-socket", error, cap, "expected a path of at most %zu bytes", max);
}
