#include "gateway/passed_sockets.h"

#include "gateway/gateway_config.h"
#include "gateway/listener.h"
#include "gateway/listener_pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    FIRST_FD = 3,
    PASSED_MAX = 1024,
};

static long read_number(const char *variable)
{
    const char *text = getenv(variable);
    return text != NULL ? strtol(text, NULL, 10) : 0;
}

/* How many there are; they are meant for the process with that id only. */
static int count_passed(void)
{
    long count = read_number("LISTEN_PID") == getpid() ? read_number("LISTEN_FDS") : 0;
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return count > 0 && count <= PASSED_MAX ? (int)count : 0;
}

static bool has_option(int fd, int option, int wanted)
{
    int value = 0;
    socklen_t len = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 && value == wanted;
}

static const struct endpoint *find_address(const struct gateway_config *config, const struct endpoint *bound)
{
    for (size_t l = 0; l < config->listener_count; l++) {
        const struct listener_config *listener = &config->listeners[l];
        for (size_t a = 0; a < listener->address_count; a++) {
            const struct endpoint *at = listener_config_address(listener, a);
            if (addr_equal(&at->ip, &bound->ip)) return at;
        }
    }
    return NULL;
}

static bool is_taken(const struct listener_pool *pool, const char *address)
{
    LIST_EACH (link, &pool->sockets)
        if (strcmp(LIST_ENTRY(link, struct listener, link)->address, address) == 0) return true;
    return false;
}

static int take(struct listener_pool *pool, const struct gateway_config *config, int fd, char *why, size_t cap)
{
    struct endpoint bound = {.len = sizeof(bound.un)};
    char text[ENDPOINT_TEXT_BYTES];
    if (getsockname(fd, &bound.sa, &bound.len) < 0 || !has_option(fd, SO_TYPE, SOCK_STREAM) ||
        !has_option(fd, SO_ACCEPTCONN, 1)) {
        snprintf(why, cap, "descriptor %d, which the service manager has passed, is no listening stream socket", fd);
        return -1;
    }
    const struct endpoint *at = bound.sa.sa_family != AF_UNIX ? find_address(config, &bound) : NULL;
    endpoint_format(&bound, text, sizeof(text));
    if (at == NULL) {
        snprintf(why, cap, "the service manager has passed a socket for %s, which is the address of no listener", text);
        return -1;
    }
    endpoint_format(at, text, sizeof(text));
    if (is_taken(pool, text)) {
        snprintf(why, cap, "the service manager has passed two sockets for %s", text);
        return -1;
    }
    listener_prepare_passed(fd);
    listener_pool_restore(pool, fd, text, 0, true, &bound, pool->next_id);
    return 0;
}

int passed_sockets_take(struct listener_pool *pool, const struct gateway_config *config, char *why, size_t cap)
{
    int count = count_passed();
    for (int i = 0; i < count; i++)
        if (take(pool, config, FIRST_FD + i, why, cap) < 0) return -1;
    return 0;
}
