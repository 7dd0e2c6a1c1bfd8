#include "gateway/handoff_config.h"

#include <string.h>

int handoff_config_read(struct handoff_config *config, const struct option_section *section, char *error, size_t cap)
{
    const size_t max = sizeof(config->inlet.un.sun_path) - 1;
    const char *path = option_str(section, "inlet");
    config->name = option_title(section);
    config->handoff_timeout_ms = option_int(section, "handoff-timeout");
    if (path == NULL)
        return option_error(section, "inlet", error, cap, "expected the path of the backend's inlet socket");
    if (strlen(path) > max)
        return option_error(section, "inlet", error, cap, "expected a path of at most %zu bytes, not %s", max, path);
    config->inlet.un.sun_family = AF_UNIX;
    memcpy(config->inlet.un.sun_path, path, strlen(path) + 1);
    config->inlet.len = (socklen_t)sizeof(config->inlet.un);
    return 0;
}
