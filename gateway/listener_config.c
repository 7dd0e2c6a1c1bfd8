#include "gateway/listener_config.h"

#include <string.h>

/* The same address twice would make the kernel spread clients over two listeners at random; "*:443" takes the port of
 * every address. */
static int check_unique(const struct listener_config *all, size_t index, size_t address, char *error, size_t cap)
{
    const struct listener_config *mine = &all[index];
    const struct endpoint *wanted = listener_config_address(mine, address);
    for (size_t l = 0; l <= index; l++) {
        const struct listener_config *other = &all[l];
        size_t end = l == index ? address : other->address_count;
        for (size_t a = 0; a < end; a++) {
            const struct endpoint *taken = listener_config_address(other, a);
            if (!addr_overlaps(&taken->ip, &wanted->ip)) continue;
            char text[ENDPOINT_TEXT_BYTES], by[ENDPOINT_TEXT_BYTES];
            return option_error(mine->section, "address", error, cap, "%s is already used by %s of listener \"%s\"",
                                endpoint_format(wanted, text, sizeof(text)), endpoint_format(taken, by, sizeof(by)),
                                other->name);
        }
    }
    return 0;
}

static int check_addresses(const struct listener_config *all, size_t index, char *error, size_t cap)
{
    const struct listener_config *mine = &all[index];
    if (mine->address_count == 0)
        return option_error(mine->section, "address", error, cap, "expected at least one address such as \"*:443\"");
    for (size_t a = 0; a < mine->address_count; a++) {
        if (listener_config_address(mine, a)->sa.sa_family == AF_UNIX)
            return option_error(mine->section, "address", error, cap,
                                "expected an IP address and port, not a Unix socket");
        if (check_unique(all, index, a, error, cap) < 0) return -1;
    }
    return 0;
}

static int read_admin(struct listener_config *config, char *error, size_t cap)
{
    config->admin = option_enum(config->section, "serve") == 1; /* as in options.def */
    if (!config->admin && option_is_set(config->section, "allow"))
        return option_error(config->section, "allow", error, cap,
                            "expected \"serve = admin\" beside it: for routes there is their condition \"source\"");
    if (config->admin && config->proxy_from.count > 0)
        return option_error(config->section, "proxy-protocol-from", error, cap,
                            "expected on a listener for routes, not beside \"serve = admin\"");
    return cidr_set_read(&config->allow, config->section, "allow", error, cap);
}

int listener_config_read(struct listener_config *all, size_t index, const struct option_section *section, char *error,
                         size_t cap)
{
    struct listener_config *config = &all[index];
    config->name = option_title(section);
    config->section = section;
    config->backlog = (int)option_int(section, "backlog");
    config->keepalive = keepalive_read(section);
    config->address_count = option_count(section, "address");
    config->freebind = option_bool(section, "freebind");
    if (cidr_set_read(&config->proxy_from, section, "proxy-protocol-from", error, cap) < 0) return -1;
    if (read_admin(config, error, cap) < 0) return -1;
    return check_addresses(all, index, error, cap);
}

static bool route_hears(const struct option_section *route, const char *listener)
{
    if (option_count(route, "inside") > 0) return false; /* its clients have spoken: they were decrypted */
    size_t count = option_count(route, "listener");
    for (size_t i = 0; i < count; i++)
        if (strcmp(option_item(route, "listener", i), listener) == 0) return true;
    return count == 0;
}

/* Silent clients reach us late or never: their route would not do what it says. */
static int check_deferring(const struct listener_config *config, const struct option_file *file, char *error,
                           size_t cap)
{
    const struct option_section *route = NULL;
    while ((route = option_next(file, "route", route)) != NULL)
        if (option_bool(route, "on-timeout") && route_hears(route, config->name))
            return option_error(config->section, "defer-accept", error, cap,
                                "expected only where no route waits for silence, but route \"%s\" of line %d does "
                                "(on-timeout): name other listeners in that route",
                                option_title(route), option_line(route));
    return 0;
}

int listener_config_check(struct listener_config *config, const struct option_file *file, char *error, size_t cap)
{
    if (!option_bool(config->section, "defer-accept")) return 0;
    config->defer_accept_s = (int)((option_int(option_top(file), "peek-timeout") + 999) / 1000);
    return config->admin ? 0 : check_deferring(config, file, error, cap);
}

void listener_config_clear(struct listener_config *config)
{
    cidr_set_clear(&config->proxy_from);
    cidr_set_clear(&config->allow);
}

const struct endpoint *listener_config_address(const struct listener_config *config, size_t i)
{
    return option_endpoint(config->section, "address", i);
}
