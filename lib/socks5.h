/* socks5 - the client's side of SOCKS5, up to the reply to CONNECT; without input and output of its own.
 *
 * Send out, read exactly want bytes, give them to socks5_take, and again.  No byte behind the reply is ever wanted: it
 * is the connection's.  Source: RFC 1928, RFC 1929. */
#ifndef POSTERN_LIB_SOCKS5_H
#define POSTERN_LIB_SOCKS5_H

#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum socks5_verdict {
    SOCKS5_MORE,    /* there is something to send, or to be read */
    SOCKS5_DONE,    /* the next byte is the other server's */
    SOCKS5_REFUSED, /* the proxy could not reach the other server; why */
    SOCKS5_BROKEN,  /* the proxy does not serve us, or is none; why */
};

enum { SOCKS5_NAME_MAX_BYTES = 255, SOCKS5_OUT_BYTES = 3 + 2 * (1 + SOCKS5_NAME_MAX_BYTES) };

struct socks5 {
    uint8_t out[SOCKS5_OUT_BYTES];
    size_t out_len; /* the caller sets it to 0 when all is sent */
    size_t want;
    const char *why;
    unsigned char step;
    uint8_t in[3]; /* what has come of the step's bytes; an address is skipped */
    size_t have;
    uint16_t port;
    char host[SOCKS5_NAME_MAX_BYTES + 1], user[SOCKS5_NAME_MAX_BYTES + 1];
};

/* socks5_begin - host is a name, or an address as text.  user (NULL: none) is offered with a password that means
 * nothing: a proxy such as Tor's keeps the connections of different users apart.  Returns 0, or -1: a text is empty or
 * too long. */
MUSTCHECK int socks5_begin(struct socks5 *s, const char *host, uint16_t port, const char *user);

/* socks5_take - the len bytes that were read, not more than are wanted. */
enum socks5_verdict socks5_take(struct socks5 *s, const uint8_t *bytes, size_t len);

#endif
