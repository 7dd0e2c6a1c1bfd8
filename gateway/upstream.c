#include "gateway/upstream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum upstream_connect upstream_connect(const struct upstream *upstream, size_t server, int *fd)
{
    const struct endpoint *to = gateway_config_server(upstream->config, server);
    int sock = socket(to->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (sock < 0) return UPSTREAM_FAILED;
    const int on = 1;
    if (to->sa.sa_family != AF_UNIX) {
        (void)setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        /* As on the clients' side: an urgent byte would be missing from the stream otherwise. */
        (void)setsockopt(sock, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
    }
    int rc = connect(sock, &to->sa, to->len);
    if (rc == 0 || errno == EINPROGRESS) {
        *fd = sock;
        return rc == 0 ? UPSTREAM_CONNECTED : UPSTREAM_CONNECTING;
    }
    int saved = errno;
    close(sock);
    errno = saved;
    return errno == EAGAIN ? UPSTREAM_BUSY : UPSTREAM_FAILED;
}

int upstream_connect_result(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0) return errno;
    return error;
}
