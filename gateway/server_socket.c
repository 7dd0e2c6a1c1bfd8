#include "gateway/server_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Where a server is now. */
static bool find_address(const struct upstream *upstream, size_t server, struct endpoint *to)
{
    if (!upstream_address_get(&upstream->servers[server].address, &to->ip)) return false;
    to->len = to->sa.sa_family == AF_INET6 ? sizeof(to->ip.in6) : sizeof(to->ip.in);
    return true;
}

static void set_options(int sock, const struct upstream_config *config)
{
    const int on = 1;
    (void)setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    /* As on the clients' side: an urgent byte would be missing from the stream otherwise. */
    (void)setsockopt(sock, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
    keepalive_set(sock, &config->keepalive);
}

/* Within this machine the handshake is over when connect returns, although it says that it is under way. */
static bool is_connected(int sock, const struct endpoint *to)
{
    struct pollfd state = {.fd = sock, .events = POLLOUT};
    return addr_is_loopback(&to->ip) && poll(&state, 1, 0) == 1 && state.revents == POLLOUT;
}

/* Take on the client's address, and its port unless that is taken, too.  Returns 0, or -1 and errno. */
static int bind_to(int sock, const struct addr *client)
{
    const int on = 1;
    bool v6 = client->sa.sa_family == AF_INET6;
    struct endpoint from = {.len = v6 ? sizeof(from.ip.in6) : sizeof(from.ip.in), .ip = *client};
    if (setsockopt(sock, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, &on, sizeof(on)) < 0)
        return -1;
    /* What is left of the same client's connection before this one does not count. */
    if (setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0) return -1;
    if (bind(sock, &from.sa, from.len) == 0) return 0;
    if (errno != EADDRINUSE) return -1;
    (void)setsockopt(sock, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    *(v6 ? &from.ip.in6.sin6_port : &from.ip.in.sin_port) = 0;
    return bind(sock, &from.sa, from.len);
}

static enum server_socket start(int sock, const struct endpoint *to)
{
    if (connect(sock, &to->sa, to->len) == 0) return SERVER_SOCKET_CONNECTED;
    if (errno == EINPROGRESS) return is_connected(sock, to) ? SERVER_SOCKET_CONNECTED : SERVER_SOCKET_CONNECTING;
    return errno == EAGAIN ? SERVER_SOCKET_BUSY : SERVER_SOCKET_FAILED;
}

enum server_socket server_socket_connect(const struct upstream *upstream, size_t server, const struct addr *client,
                                         int *fd)
{
    const struct upstream_config *config = upstream->config;
    const struct endpoint *to = &config->servers[server].at;
    struct endpoint resolved;
    if (config->servers[server].host != NULL) {
        if (!find_address(upstream, server, &resolved)) {
            errno = EHOSTUNREACH;
            return SERVER_SOCKET_FAILED;
        }
        to = &resolved;
    }
    int sock = socket(to->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (sock < 0) return SERVER_SOCKET_FAILED;
    if (to->sa.sa_family != AF_UNIX) set_options(sock, config);
    enum server_socket result = SERVER_SOCKET_FAILED;
    errno = EAFNOSUPPORT;
    if (!config->transparent || (client->sa.sa_family == to->sa.sa_family && bind_to(sock, client) == 0))
        result = start(sock, to);
    if (result == SERVER_SOCKET_CONNECTED || result == SERVER_SOCKET_CONNECTING) {
        *fd = sock;
        return result;
    }
    int saved = errno;
    close(sock);
    errno = saved;
    return result;
}

int server_socket_result(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0) return errno;
    return error;
}
