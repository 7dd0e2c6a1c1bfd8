/* addr - IP addresses with ports, and places to listen on or connect to. */
#ifndef POSTERN_LIB_ADDR_H
#define POSTERN_LIB_ADDR_H

#include "lib/check.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

/* An IPv4 or IPv6 address and port; family AF_UNSPEC (a zeroed struct) means unknown.  Small on purpose: every
 * connection holds two. */
struct addr {
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    };
};

/* A place to listen on or connect to: an IP address or a Unix socket. */
struct endpoint {
    socklen_t len;
    union {
        struct sockaddr sa;
        struct addr ip;
        struct sockaddr_un un;
    };
};

/* How addresses are written to logs. */
enum addr_mode {
    ADDR_FULL,
    ADDR_MASKED, /* IPv4 keeps /24, IPv6 keeps /48, no port: "192.0.2.0/24" */
    ADDR_NONE,   /* "-" */
};

/* The longest text that addr_format or endpoint_format writes, with its NUL. */
#define ADDR_TEXT_BYTES     64
#define ENDPOINT_TEXT_BYTES 128

/* addr_from_sockaddr - copy an IP socket address; an IPv4-mapped IPv6 address becomes IPv4; others become unknown. */
void addr_from_sockaddr(struct addr *out, const struct sockaddr *sa, socklen_t len);

/* addr_of_socket - a socket's own address; unknown if it has none. */
struct addr addr_of_socket(int fd);
uint16_t addr_port(const struct addr *a);
bool addr_equal(const struct addr *a, const struct addr *b);

/* addr_is_any - 0.0.0.0 or ::, every address of this machine. */
bool addr_is_any(const struct addr *a);

/* addr_is_loopback - within this machine by its number: 127.0.0.0/8 (RFC 1122 section 3.2.1.3) or ::1. */
bool addr_is_loopback(const struct addr *a);

/* addr_source - the bytes (in the address, not ended by anything) by which limits count whose it is, and their number:
 * an IPv4 address, the /64 of an IPv6 address, or one circuit of Tor, which comes from fc00:dead:beef:4dad::/64 as
 * Tor's HiddenServiceExportCircuitID makes it.  0: the address is unknown. */
size_t addr_source(const struct addr *a, const uint8_t **bytes);

/* addr_overlaps - whether one program cannot listen on both: the same port of the same address, or of every address. */
bool addr_overlaps(const struct addr *a, const struct addr *b);

/* addr_format - "192.0.2.1:443", "[2001:db8::1]:443" or "unknown"; returns out (>= ADDR_TEXT_BYTES bytes). */
char *addr_format(const struct addr *a, enum addr_mode mode, char *out, size_t cap);

/* addr_format_host - the address alone, without port and brackets. */
char *addr_format_host(const struct addr *a, char *out, size_t cap);

/* endpoint_parse - "192.0.2.1:443", "[::1]:443", "*:443" (every IPv4 address), "[*]:443" (every IPv6 address) or
 * "unix:/path".  Returns 0, or -1 and *why (static text) says what was expected.  Numeric addresses only.  Port 0 lets
 * the kernel choose. */
MUSTCHECK int endpoint_parse(const char *text, struct endpoint *out, const char **why);

/* endpoint_format - the text that endpoint_parse reads; returns out (>= ENDPOINT_TEXT_BYTES bytes). */
char *endpoint_format(const struct endpoint *e, char *out, size_t cap);

#endif
