#include "gateway/log_settings.h"

json_t *log_settings_describe(const struct log_config *config)
{
    json_t *levels = json_array();
    for (size_t i = 0; i < LOG_SINKS; i++)
        json_array_append_new(levels, json_integer(config->own_level[i]));
    json_t *out = json_pack("{s:i, s:i, s:i, s:b, s:s*, s:s*, s:s*, s:i, s:o}", "level", (int)config->level, "format",
                            (int)config->format, "addresses", (int)config->addresses, "stderr", config->to_stderr,
                            "path", config->path, "error_path", config->error_path, "syslog_path", config->syslog_path,
                            "syslog_facility", config->syslog_facility, "own_level", levels);
    CHECK(out != NULL);
    return out;
}

struct log_config log_settings_read(const json_t *settings)
{
    struct log_config config = {
        .level = (enum log_level)json_integer_value(json_object_get(settings, "level")),
        .format = (enum log_format)json_integer_value(json_object_get(settings, "format")),
        .addresses = (enum addr_mode)json_integer_value(json_object_get(settings, "addresses")),
        .to_stderr = json_is_true(json_object_get(settings, "stderr")),
        .path = json_string_value(json_object_get(settings, "path")),
        .error_path = json_string_value(json_object_get(settings, "error_path")),
        .syslog_path = json_string_value(json_object_get(settings, "syslog_path")),
        .syslog_facility = (int)json_integer_value(json_object_get(settings, "syslog_facility")),
    };
    const json_t *levels = json_object_get(settings, "own_level");
    for (size_t i = 0; i < LOG_SINKS; i++)
        config.own_level[i] = (unsigned char)json_integer_value(json_array_get(levels, i));
    return config;
}
