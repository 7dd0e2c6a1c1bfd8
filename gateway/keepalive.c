#include "gateway/keepalive.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

enum { PROBES = 4 };

struct keepalive keepalive_read(const struct option_section *section)
{
    return (struct keepalive){.idle_ms = option_int(section, "keepalive"),
                              .user_timeout_ms = option_int(section, "user-timeout")};
}

void keepalive_set(int fd, const struct keepalive *keepalive)
{
    if (keepalive->idle_ms > 0) {
        const int on = 1, count = PROBES, idle_s = (int)(keepalive->idle_ms / 1000);
        const int interval_s = idle_s > PROBES ? idle_s / PROBES : 1;
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
    }
    if (keepalive->user_timeout_ms > 0) {
        const unsigned timeout_ms = (unsigned)keepalive->user_timeout_ms;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
    }
}
