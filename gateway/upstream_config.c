#include "gateway/upstream_config.h"

#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

static int check_server(const struct upstream_config *config, const struct option_section *section, size_t at,
                        char *error, size_t cap)
{
    const struct server_text *server = &config->servers[at];
    for (size_t i = 0; i < at; i++)
        if (strcmp(config->servers[i].name, server->name) == 0)
            return option_error(section, "server", error, cap, "expected each server once, but %s is given twice",
                                server->name);
    if (config->transparent && server->at.sa.sa_family == AF_UNIX)
        return option_error(section, "server", error, cap,
                            "expected no Unix socket beside transparent: %s knows no client addresses", server->name);
    return 0;
}

static int read_servers(struct upstream_config *config, const struct option_section *section, char *error, size_t cap)
{
    size_t count = option_count(section, "server");
    if (count == 0)
        return option_error(section, "server", error, cap,
                            "expected at least one server such as \"127.0.0.1:8443\" or \"unix:/path\"");
    if (count > BALANCE_SERVERS_MAX)
        return option_error(section, "server", error, cap, "expected at most %d servers, not %zu", BALANCE_SERVERS_MAX,
                            count);
    config->servers = mem_alloc(count * sizeof(*config->servers));
    for (size_t i = 0; i < count; i++) {
        char why[512];
        if (server_text_parse(option_item(section, "server", i), &config->servers[i], why, sizeof(why)) < 0)
            return option_error(section, "server", error, cap, "%s", why);
        config->server_count++;
        if (check_server(config, section, i, error, cap) < 0) return -1;
    }
    return 0;
}

int upstream_config_read(struct upstream_config *config, const struct option_section *section, char *error, size_t cap)
{
    *config = (struct upstream_config){
        .name = option_title(section),
        .balance = (enum balance)option_enum(section, "balance"),
        .proxy_protocol = (enum upstream_proxy_protocol)option_enum(section, "proxy-protocol"),
        .transparent = option_bool(section, "transparent"),
        .connect_timeout_ms = option_int(section, "connect-timeout"),
        .max_connections = (uint32_t)option_int(section, "max-connections"),
        .queue = (uint32_t)option_int(section, "queue"),
        .queue_timeout_ms = option_int(section, "queue-timeout"),
        .ejection = {.max_fails = (uint32_t)option_int(section, "max-fails"),
                     .fail_timeout_ms = option_int(section, "fail-timeout"),
                     .max_ms = option_int(section, "fail-timeout-max")},
        .check_interval_ms = option_int(section, "check-interval"),
        .check_timeout_ms = option_int(section, "check-timeout"),
        .rise = (uint32_t)option_int(section, "rise"),
        .fall = (uint32_t)option_int(section, "fall"),
        .resolve_interval_ms = option_int(section, "resolve-interval"),
        .keepalive = keepalive_read(section),
    };
    if (config->ejection.max_ms < config->ejection.fail_timeout_ms)
        return option_error(section, "fail-timeout-max", error, cap, "expected no less than fail-timeout");
    return read_servers(config, section, error, cap);
}

void upstream_config_clear(struct upstream_config *config)
{
    for (size_t i = 0; i < config->server_count; i++)
        server_text_clear(&config->servers[i]);
    free(config->servers);
    config->servers = NULL;
    config->server_count = 0;
}
