#include "bench/gateway/generator.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { RECORD_HEADER_BYTES = 5, RECORD_HANDSHAKE = 22 }; /* RFC 8446 section 5.1 */

static uint64_t hash_of(const uint8_t *data, size_t len)
{
    uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ data[i]) * 0x100000001b3;
    return hash;
}

void reply_make(struct reply *reply, uint32_t port, const void *request, size_t len)
{
    *reply = (struct reply){.port = port, .request_len = (uint32_t)len, .request_hash = hash_of(request, len)};
    memcpy(reply->magic, REPLY_MAGIC, sizeof(reply->magic));
    for (size_t i = 0; i < sizeof(reply->filler); i++)
        reply->filler[i] = (uint8_t)('0' + i);
}

bool reply_is(const struct reply *reply, uint32_t port, const void *request, size_t len)
{
    struct reply wanted;
    reply_make(&wanted, port, request, len);
    return memcmp(reply, &wanted, sizeof(wanted)) == 0;
}

size_t request_len(const uint8_t *data, size_t len)
{
    if (len < RECORD_HEADER_BYTES) return 0;
    size_t need = REQUEST_BYTES;
    if (data[0] == RECORD_HANDSHAKE)
        need = RECORD_HEADER_BYTES + ((size_t)data[3] << 8 | data[4]);
    else if (data[0] != REQUEST_FIRST)
        fail("a backend got what no client sent: it begins with 0x%02x", data[0]);
    if (need > REQUEST_MAX_BYTES) fail("a backend got a request of %zu bytes", need);
    return len >= need ? need : 0;
}

const uint8_t *bulk_pattern(void)
{
    static uint8_t *pattern;
    if (pattern != NULL) return pattern;
    pattern = malloc(2 * BULK_PERIOD_BYTES);
    if (pattern == NULL) fail("out of memory");
    uint32_t x = 2463534242;
    for (size_t i = 0; i < BULK_PERIOD_BYTES; i++) {
        x ^= x << 13, x ^= x >> 17, x ^= x << 5; /* xorshift */
        pattern[i] = (uint8_t)x;
    }
    memcpy(pattern + BULK_PERIOD_BYTES, pattern, BULK_PERIOD_BYTES);
    return pattern;
}

void request_load(struct request *request, const char *text)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL) fail("expected FILE:INDEX, not '%s'", text);
    char *path = strndup(text, (size_t)(colon - text));
    FILE *file = path != NULL ? fopen(path, "rb") : NULL;
    if (file == NULL) fail("%s: %s", path, strerror(errno));
    request->len = fread(request->data, 1, sizeof(request->data), file);
    request->port = (uint32_t)number_parse(colon + 1);
    if (request_len(request->data, request->len) != request->len) fail("%s: not one whole ClientHello", path);
    fclose(file);
    free(path);
}

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

void fail(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    fputs("generator: ", stderr);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}
