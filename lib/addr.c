#include "lib/addr.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char addr_expected[] = "an address and a port: 192.0.2.1:443, [2001:db8::1]:443, *:443 (every IPv4 "
                                    "address), [*]:443 (every IPv6 address), or unix:/path";
static const char addr_bad_port[] = "a port from 0 to 65535 after the last colon";
static const char addr_bad_unix[] = "an absolute path after unix:";
static const char addr_long_unix[] = "a path of at most 107 bytes after unix:";

static void addr_set_in(struct addr *out, struct in_addr ip, in_port_t port)
{
    memset(out, 0, sizeof(*out));
    out->in.sin_family = AF_INET;
    out->in.sin_addr = ip;
    out->in.sin_port = port;
}

void addr_from_sockaddr(struct addr *out, const struct sockaddr *sa, socklen_t len)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    if (sa && len >= sizeof(in) && sa->sa_family == AF_INET) {
        memcpy(&in, sa, sizeof(in));
        addr_set_in(out, in.sin_addr, in.sin_port);
        return;
    }
    if (!sa || len < sizeof(in6) || sa->sa_family != AF_INET6) {
        memset(out, 0, sizeof(*out));
        return;
    }
    memcpy(&in6, sa, sizeof(in6));
    if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
        struct in_addr ip;
        memcpy(&ip, in6.sin6_addr.s6_addr + 12, sizeof(ip));
        addr_set_in(out, ip, in6.sin6_port);
        return;
    }
    memset(out, 0, sizeof(*out));
    out->in6.sin6_family = AF_INET6;
    out->in6.sin6_addr = in6.sin6_addr;
    out->in6.sin6_port = in6.sin6_port;
    out->in6.sin6_scope_id = in6.sin6_scope_id;
}

struct addr addr_of_socket(int fd)
{
    struct addr own = {0};
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof(sa);
    if (getsockname(fd, (struct sockaddr *)&sa, &len) == 0) addr_from_sockaddr(&own, (struct sockaddr *)&sa, len);
    return own;
}

uint16_t addr_port(const struct addr *a)
{
    if (a->sa.sa_family == AF_INET) return ntohs(a->in.sin_port);
    return a->sa.sa_family == AF_INET6 ? ntohs(a->in6.sin6_port) : 0;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
    if (a->sa.sa_family != b->sa.sa_family) return false;
    if (a->sa.sa_family == AF_INET)
        return a->in.sin_port == b->in.sin_port && a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
    if (a->sa.sa_family != AF_INET6) return true;
    return a->in6.sin6_port == b->in6.sin6_port && a->in6.sin6_scope_id == b->in6.sin6_scope_id &&
           memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof(a->in6.sin6_addr)) == 0;
}

bool addr_is_any(const struct addr *a)
{
    if (a->sa.sa_family == AF_INET) return a->in.sin_addr.s_addr == htonl(INADDR_ANY);
    return a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
}

bool addr_is_loopback(const struct addr *a)
{
    if (a->sa.sa_family == AF_INET) return ntohl(a->in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    return a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
}

size_t addr_source(const struct addr *a, const uint8_t **bytes)
{
    static const uint8_t TOR_CIRCUITS[8] = {0xfc, 0x00, 0xde, 0xad, 0xbe, 0xef, 0x4d, 0xad};
    if (a->sa.sa_family == AF_INET) {
        *bytes = (const uint8_t *)&a->in.sin_addr;
        return sizeof(a->in.sin_addr);
    }
    if (a->sa.sa_family != AF_INET6) return 0;
    const uint8_t *ip = *bytes = a->in6.sin6_addr.s6_addr;
    const size_t prefix_bytes = sizeof(TOR_CIRCUITS);
    return memcmp(ip, TOR_CIRCUITS, prefix_bytes) == 0 ? sizeof(a->in6.sin6_addr) : prefix_bytes;
}

bool addr_overlaps(const struct addr *a, const struct addr *b)
{
    if (a->sa.sa_family != b->sa.sa_family || addr_port(a) != addr_port(b) || addr_port(a) == 0) return false;
    return addr_equal(a, b) || addr_is_any(a) || addr_is_any(b);
}

static char *addr_format_masked(const struct addr *a, char *out, size_t cap)
{
    struct addr net = *a;
    char host[INET6_ADDRSTRLEN];
    bool v4 = a->sa.sa_family == AF_INET;
    if (v4)
        net.in.sin_addr.s_addr &= htonl(0xffffff00U);
    else
        memset(net.in6.sin6_addr.s6_addr + 6, 0, 10);
    snprintf(out, cap, "%s/%d", addr_format_host(&net, host, sizeof(host)), v4 ? 24 : 48);
    return out;
}

static char *addr_put_number(char *at, unsigned value)
{
    if (value >= 10) at = addr_put_number(at, value / 10);
    *at = (char)('0' + value % 10);
    return at + 1;
}

/* As snprintf would write it, at a tenth of its cost: each line of the log has two. */
static char *addr_format_v4(const struct addr *a, char *out, size_t cap)
{
    char text[sizeof("255.255.255.255:65535")], *at = text;
    uint32_t host = ntohl(a->in.sin_addr.s_addr);
    for (int shift = 24; shift >= 0; shift -= 8) {
        at = addr_put_number(at, host >> shift & 0xff);
        *at++ = shift > 0 ? '.' : ':';
    }
    at = addr_put_number(at, addr_port(a));
    *at = '\0';
    CHECK((size_t)(at - text) < cap);
    memcpy(out, text, (size_t)(at - text) + 1);
    return out;
}

char *addr_format(const struct addr *a, enum addr_mode mode, char *out, size_t cap)
{
    char host[INET6_ADDRSTRLEN];
    if (mode == ADDR_NONE) {
        snprintf(out, cap, "-");
        return out;
    }
    if (a->sa.sa_family != AF_INET && a->sa.sa_family != AF_INET6) return addr_format_host(a, out, cap);
    if (mode == ADDR_MASKED) return addr_format_masked(a, out, cap);
    if (a->sa.sa_family == AF_INET) return addr_format_v4(a, out, cap);
    snprintf(out, cap, "[%s]:%u", addr_format_host(a, host, sizeof(host)), (unsigned)addr_port(a));
    return out;
}

char *addr_format_host(const struct addr *a, char *out, size_t cap)
{
    const char *text = NULL;
    if (a->sa.sa_family == AF_INET) text = inet_ntop(AF_INET, &a->in.sin_addr, out, (socklen_t)cap);
    if (a->sa.sa_family == AF_INET6) text = inet_ntop(AF_INET6, &a->in6.sin6_addr, out, (socklen_t)cap);
    if (!text) snprintf(out, cap, "unknown");
    return out;
}

static int addr_parse_port(const char *text, in_port_t *out)
{
    unsigned port = 0;
    size_t len = strlen(text);
    if (len == 0 || len > 5 || strspn(text, "0123456789") != len) return -1;
    for (; *text; text++)
        port = port * 10 + (unsigned)(*text - '0');
    if (port > 65535) return -1;
    *out = htons((uint16_t)port);
    return 0;
}

static int endpoint_parse_unix(const char *path, struct endpoint *out, const char **why)
{
    size_t len = strlen(path);
    *why = addr_bad_unix;
    if (path[0] != '/') return -1;
    *why = addr_long_unix;
    if (len >= sizeof(out->un.sun_path)) return -1;
    out->un.sun_family = AF_UNIX;
    memcpy(out->un.sun_path, path, len + 1);
    out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    return 0;
}

static int endpoint_parse_host(const char *host, bool bracketed, struct endpoint *out)
{
    bool any = strcmp(host, "*") == 0;
    if (bracketed) {
        out->ip.in6.sin6_family = AF_INET6;
        out->len = sizeof(out->ip.in6);
        return any || inet_pton(AF_INET6, host, &out->ip.in6.sin6_addr) == 1 ? 0 : -1;
    }
    out->ip.in.sin_family = AF_INET;
    out->len = sizeof(out->ip.in);
    return any || inet_pton(AF_INET, host, &out->ip.in.sin_addr) == 1 ? 0 : -1;
}

int endpoint_parse(const char *text, struct endpoint *out, const char **why)
{
    char host[INET6_ADDRSTRLEN];
    memset(out, 0, sizeof(*out));
    if (strncmp(text, "unix:", 5) == 0) return endpoint_parse_unix(text + 5, out, why);
    *why = addr_expected;
    bool bracketed = text[0] == '[';
    const char *colon = strrchr(text, ':');
    if (!colon) return -1;
    const char *first = text + bracketed;
    const char *end = colon - bracketed;
    if (end < first || (bracketed && *end != ']')) return -1;
    size_t len = (size_t)(end - first);
    if (len >= sizeof(host)) return -1;
    memcpy(host, first, len);
    host[len] = '\0';
    if (endpoint_parse_host(host, bracketed, out) != 0) return -1;
    *why = addr_bad_port;
    return addr_parse_port(colon + 1, bracketed ? &out->ip.in6.sin6_port : &out->ip.in.sin_port);
}

char *endpoint_format(const struct endpoint *e, char *out, size_t cap)
{
    static const struct in6_addr any6;
    if (e->sa.sa_family == AF_UNIX)
        snprintf(out, cap, "unix:%.*s", (int)sizeof(e->un.sun_path), e->un.sun_path);
    else if (e->sa.sa_family == AF_INET && e->ip.in.sin_addr.s_addr == 0)
        snprintf(out, cap, "*:%u", (unsigned)addr_port(&e->ip));
    else if (e->sa.sa_family == AF_INET6 && memcmp(&e->ip.in6.sin6_addr, &any6, sizeof(any6)) == 0)
        snprintf(out, cap, "[*]:%u", (unsigned)addr_port(&e->ip));
    else
        addr_format(&e->ip, ADDR_FULL, out, cap);
    return out;
}
