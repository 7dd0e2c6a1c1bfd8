#include "bench/common/generator.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

void address_parse(struct sockaddr_in *address, const char *text)
{
    char host[INET_ADDRSTRLEN];
    unsigned port;
    *address = (struct sockaddr_in){.sin_family = AF_INET};
    if (sscanf(text, "%15[0-9.]:%u", host, &port) != 2 || inet_pton(AF_INET, host, &address->sin_addr) != 1)
        fail("expected an address such as 127.0.0.1:443, not '%s'", text);
    address->sin_port = htons((uint16_t)port);
}

int client_socket(void)
{
    static uint32_t last;
    const int on = 1;
    const struct sockaddr_in own = {.sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + last++ % 100)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket: %s", strerror(errno));
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)&own, sizeof(own)) < 0) fail("bind: %s", strerror(errno));
    return fd;
}

unsigned long number_parse(const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end != '\0') fail("expected a number, not '%s'", text);
    return value;
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t cpu_ns(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

int64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

void wait_for_line(const char *what)
{
    char line[64];
    puts(what);
    fflush(stdout);
    if (fgets(line, sizeof(line), stdin) == NULL) exit(0); /* whoever started us is gone */
}

static uint64_t random_state = 88172645463325252u;

void random_seed(uint64_t seed)
{
    random_state = seed * 0x9e3779b97f4a7c15u + 88172645463325252u;
    if (random_state == 0) random_state = 1;
}

uint64_t random_next(void)
{
    uint64_t x = random_state;
    x ^= x << 13, x ^= x >> 7, x ^= x << 17; /* xorshift */
    return random_state = x;
}

int64_t random_gap_ns(double per_second)
{
    double uniform = ((double)(random_next() >> 11) + 1) / 9007199254740993.0;
    return (int64_t)(-log(uniform) * 1e9 / per_second);
}

static void (*fail_tell)(const char *why);

void fail_by(void (*tell)(const char *why))
{
    fail_tell = tell;
}

void fail(const char *format, ...)
{
    char why[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(why, sizeof(why), format, ap);
    va_end(ap);
    if (fail_tell != NULL)
        fail_tell(why);
    else
        fprintf(stderr, "generator: %s\n", why);
    exit(1);
}
