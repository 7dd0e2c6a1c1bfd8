#include "lib/log_syslog.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

enum { PREFIX_BYTES = 96 };

static const int FACILITIES[] = {LOG_DAEMON, LOG_AUTH,   LOG_AUTHPRIV, LOG_USER,   LOG_LOCAL0, LOG_LOCAL1,
                                 LOG_LOCAL2, LOG_LOCAL3, LOG_LOCAL4,   LOG_LOCAL5, LOG_LOCAL6, LOG_LOCAL7};

/* Set before the first thread and the first fork; the socket is never closed, so that nobody sends to a stranger. */
static int sock = -1;
static struct sockaddr_un daemon_address;
static atomic_int used_facility;
static atomic_uint_least64_t lost;

int log_syslog_open(const char *path, int facility)
{
    CHECK(facility >= 0 && (size_t)facility < ARRAY_LEN(FACILITIES));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (sock < 0) sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (sock < 0) return -1;
    daemon_address = address;
    atomic_store(&used_facility, FACILITIES[facility]);
    (void)connect(sock, (struct sockaddr *)&daemon_address, sizeof(daemon_address));
    return 0;
}

/* A daemon that was started anew has a new socket at the old place. */
static bool send_once(const struct msghdr *message)
{
    if (sendmsg(sock, message, MSG_NOSIGNAL) >= 0) return true;
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EMSGSIZE || errno == ENOBUFS) return false;
    if (connect(sock, (struct sockaddr *)&daemon_address, sizeof(daemon_address)) < 0) return false;
    return sendmsg(sock, message, MSG_NOSIGNAL) >= 0;
}

static bool send_line(int severity, const char *text, size_t len)
{
    char prefix[PREFIX_BYTES], stamp[32];
    time_t now = time(NULL);
    struct tm tm;
    localtime_r(&now, &tm);
    strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", &tm);
    int n = snprintf(prefix, sizeof(prefix), "<%d>%s %.32s[%d]: ", atomic_load(&used_facility) | severity, stamp,
                     program_invocation_short_name, (int)getpid());
    struct iovec parts[] = {{.iov_base = prefix, .iov_len = (size_t)n},
                            {.iov_base = (void *)(uintptr_t)text, .iov_len = len}};
    const struct msghdr message = {.msg_iov = parts, .msg_iovlen = ARRAY_LEN(parts)};
    return send_once(&message);
}

void log_syslog_send(int severity, const char *text, size_t len)
{
    if (!send_line(severity, text, len)) {
        atomic_fetch_add(&lost, 1);
        return;
    }
    uint64_t missing = atomic_exchange(&lost, 0);
    if (missing == 0) return;
    char note[64];
    int n = snprintf(note, sizeof(note), "level=warn event=log_lost lines=%llu", (unsigned long long)missing);
    if (!send_line(LOG_WARNING, note, (size_t)n)) atomic_fetch_add(&lost, missing);
}
