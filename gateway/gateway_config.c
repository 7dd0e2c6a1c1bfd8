#include "gateway/gateway_config.h"

#include "gateway/gateway_options.h"
#include "lib/log_config.h"
#include "lib/mem.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A route's title is the label of its counters, which has this many bytes at most. */
enum { ROUTE_NAME_MAX_BYTES = 63 };

static size_t count_sections(const struct option_file *file, const char *name)
{
    size_t count = 0;
    const struct option_section *s = NULL;
    while ((s = option_next(file, name, s)) != NULL)
        count++;
    return count;
}

static void read_top(struct gateway_config *config)
{
    const struct option_section *top = option_top(config->file);
    config->workers = (size_t)option_int(top, "workers");
    config->user = option_str(top, "user");
    config->group = option_str(top, "group");
    config->lock_file = option_str(top, "lock-file");
    config->control_socket = option_str(top, "control-socket");
    config->sandbox = option_bool(top, "sandbox");
    config->max_connections = (size_t)option_int(top, "max-connections");
    config->peek_timeout_ms = option_int(top, "peek-timeout");
    config->peek_limit_bytes = (size_t)option_int(top, "peek-limit");
    config->handshake_timeout_ms = option_int(top, "handshake-timeout");
    config->idle_timeout_ms = option_int(top, "idle-timeout");
    config->half_closed_timeout_ms = option_int(top, "half-closed-timeout");
    config->certificate_check_ms = option_int(top, "certificate-check");
    config->ticket_rotation_ms = option_int(top, "ticket-rotation");
    config->drain_timeout_ms = option_int(top, "drain-timeout");
    config->hard_stop_after_ms = option_int(top, "hard-stop-after");
}

static int check_user(const struct gateway_config *config, char *error, size_t cap)
{
    const struct option_section *top = option_top(config->file);
    if (config->user == NULL) {
        if (geteuid() != 0) return 0;
        return option_error(top, "user", error, cap,
                            "expected the name of an unprivileged user: workers never run as root");
    }
    errno = 0;
    const struct passwd *user = getpwnam(config->user);
    if (user == NULL) return option_error(top, "user", error, cap, "no user is named \"%s\"", config->user);
    if (user->pw_uid == 0)
        return option_error(top, "user", error, cap, "expected an unprivileged user: workers never run as root");
    if (config->group != NULL && getgrnam(config->group) == NULL)
        return option_error(top, "group", error, cap, "no group is named \"%s\"", config->group);
    return 0;
}

static int read_listeners(struct gateway_config *config, char *error, size_t cap)
{
    config->listener_count = count_sections(config->file, "listener");
    if (config->listener_count == 0)
        return option_error(option_top(config->file), NULL, error, cap,
                            "expected at least one section listener \"NAME\" { address = … }");
    config->listeners = mem_alloc(config->listener_count * sizeof(*config->listeners));
    const struct option_section *s = NULL;
    for (size_t i = 0; i < config->listener_count; i++) {
        s = option_next(config->file, "listener", s);
        if (listener_config_read(config->listeners, i, s, error, cap) < 0) return -1;
    }
    return 0;
}

static int check_socket_path(const struct option_section *s, const char *option, char *error, size_t cap)
{
    const char *path = option_str(s, option);
    const size_t max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
    if (path == NULL || strlen(path) <= max) return 0;
    return option_error(s, option, error, cap, "expected a path of at most %zu bytes, not %s", max, path);
}

static int read_upstreams(struct gateway_config *config, char *error, size_t cap)
{
    config->upstream_count = count_sections(config->file, "upstream");
    config->upstreams = mem_alloc((config->upstream_count + 1) * sizeof(*config->upstreams));
    const struct option_section *s = NULL;
    for (size_t i = 0; i < config->upstream_count; i++) {
        s = option_next(config->file, "upstream", s);
        if (upstream_config_read(&config->upstreams[i], s, error, cap) < 0) return -1;
    }
    return 0;
}

static int read_backends(struct gateway_config *config, char *error, size_t cap)
{
    config->backend_count = count_sections(config->file, "backend");
    config->backends = mem_alloc((config->backend_count + 1) * sizeof(*config->backends));
    const struct option_section *s = NULL;
    for (size_t i = 0; i < config->backend_count; i++) {
        s = option_next(config->file, "backend", s);
        if (handoff_config_read(&config->backends[i], config->file, s, error, cap) < 0) return -1;
    }
    return 0;
}

static int read_tls(struct gateway_config *config, char *error, size_t cap)
{
    config->tls_count = count_sections(config->file, "tls");
    config->tls = mem_alloc((config->tls_count + 1) * sizeof(*config->tls));
    const struct option_section *s = NULL;
    for (size_t i = 0; i < config->tls_count; i++) {
        s = option_next(config->file, "tls", s);
        if (tls_config_read(&config->tls[i], s, error, cap) < 0) return -1;
    }
    return 0;
}

static int read_routes(struct gateway_config *config, char *error, size_t cap)
{
    const struct option_section *s = NULL;
    while ((s = option_next(config->file, "route", s)) != NULL) {
        size_t len = strlen(option_title(s));
        if (len == 0 || len > ROUTE_NAME_MAX_BYTES)
            return option_error(s, NULL, error, cap, "expected a name of 1 to %d bytes", ROUTE_NAME_MAX_BYTES);
    }
    config->routes = route_table_new(config->file, error, cap);
    if (config->routes == NULL) return -1;
    if (route_count(config->routes) == 0)
        return option_error(option_top(config->file), NULL, error, cap,
                            "expected at least one section route \"NAME\" { … }");
    return 0;
}

/* What depends on other sections. */
static int finish_listeners(struct gateway_config *config, char *error, size_t cap)
{
    for (size_t i = 0; i < config->listener_count; i++)
        if (listener_config_check(&config->listeners[i], config->file, error, cap) < 0) return -1;
    return 0;
}

struct gateway_config *gateway_config_load(const char *path, char *error, size_t cap)
{
    struct option_file *file = option_load(path, GATEWAY_OPTIONS, GATEWAY_OPTION_COUNT, error, cap);
    if (file == NULL) return NULL;
    struct gateway_config *config = MEM_NEW(struct gateway_config);
    config->file = file;
    read_top(config);
    if (log_config_read(&config->log, file, error, cap) < 0 ||
        check_socket_path(option_top(file), "control-socket", error, cap) < 0 ||
        limits_config_read(&config->limits, file, error, cap) < 0 || read_listeners(config, error, cap) < 0 ||
        read_upstreams(config, error, cap) < 0 || read_backends(config, error, cap) < 0 ||
        read_tls(config, error, cap) < 0 || read_routes(config, error, cap) < 0 ||
        finish_listeners(config, error, cap) < 0 || check_user(config, error, cap) < 0)
        gateway_config_free(&config);
    return config;
}

int gateway_config_load_tls(struct gateway_config *config, char *error, size_t cap)
{
    for (size_t i = 0; i < config->tls_count; i++)
        if (tls_config_load(&config->tls[i], error, cap) < 0) return -1;
    return 0;
}

void gateway_config_free(struct gateway_config **config)
{
    struct gateway_config *old = *config;
    if (old == NULL) return;
    *config = NULL;
    if (old->routes != NULL) route_table_free(&old->routes);
    for (size_t i = 0; i < old->listener_count && old->listeners != NULL; i++)
        listener_config_clear(&old->listeners[i]);
    free(old->listeners);
    for (size_t i = 0; i < old->upstream_count; i++)
        upstream_config_clear(&old->upstreams[i]);
    limits_config_clear(&old->limits);
    free(old->upstreams);
    for (size_t i = 0; i < old->backend_count; i++)
        handoff_config_clear(&old->backends[i]);
    free(old->backends);
    for (size_t i = 0; i < old->tls_count; i++)
        tls_config_clear(&old->tls[i]);
    free(old->tls);
    option_file_free(&old->file);
    free(old);
}

size_t gateway_config_upstream(const struct gateway_config *config, const char *name)
{
    for (size_t i = 0; i < config->upstream_count; i++)
        if (strcmp(config->upstreams[i].name, name) == 0) return i;
    CHECK(!"route to an unknown upstream");
    return 0;
}

size_t gateway_config_backend(const struct gateway_config *config, const char *name)
{
    for (size_t i = 0; i < config->backend_count; i++)
        if (strcmp(config->backends[i].name, name) == 0) return i;
    CHECK(!"route to an unknown backend");
    return 0;
}

size_t gateway_config_tls(const struct gateway_config *config, const char *name)
{
    for (size_t i = 0; i < config->tls_count; i++)
        if (strcmp(config->tls[i].name, name) == 0) return i;
    CHECK(!"route to an unknown tls section");
    return 0;
}
