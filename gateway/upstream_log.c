#include "gateway/upstream_log.h"

void upstream_log(enum log_level level, const char *event, const char *upstream, const char *server, const char *key,
                  const char *value)
{
    struct log_line line;
    log_begin(&line, level, event);
    log_str(&line, "upstream", upstream);
    log_str(&line, "server", server);
    log_str(&line, key, value);
    log_end(&line);
}
