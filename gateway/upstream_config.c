#include "gateway/upstream_config.h"

/* To a client, port 0 is no port. */
static int check_port(const struct upstream_config *config, size_t server, char *error, size_t cap)
{
    const struct endpoint *at = option_endpoint(config->section, "server", server);
    if (at->sa.sa_family == AF_UNIX || addr_port(&at->ip) != 0) return 0;
    return option_error(config->section, "server", error, cap, "expected a port from 1 to 65535, not 0");
}

int upstream_config_read(struct upstream_config *config, const struct option_section *section, char *error, size_t cap)
{
    config->name = option_title(section);
    config->section = section;
    config->server_count = option_count(section, "server");
    config->proxy_protocol = (enum upstream_proxy_protocol)option_enum(section, "proxy-protocol");
    config->connect_timeout_ms = option_int(section, "connect-timeout");
    if (config->server_count == 0)
        return option_error(section, "server", error, cap,
                            "expected at least one server such as \"127.0.0.1:8443\" or \"unix:/path\"");
    for (size_t i = 0; i < config->server_count; i++)
        if (check_port(config, i, error, cap) < 0) return -1;
    return 0;
}
